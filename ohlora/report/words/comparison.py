"""Every sentence of the report, in English and in Korean, by its code."""

from __future__ import annotations

from ohlora.report.words.curve import CURVE
from ohlora.report.words.judge import JUDGE
from ohlora.report.words.plots import PLOTS
from ohlora.report.words.selection import SELECTION

WORDS: dict[str, tuple[str, str]] = {
    # headings
    "title": ("Comparison", "비교 보고서"),
    "verdicts": ("Verdicts", "판정"),
    "all_metrics": ("All metrics", "전체 지표"),
    "parity": ("Was the work the same?", "같은 작업이었는가?"),
    "settings": ("Differences in settings", "설정의 차이"),
    "failures": ("Runs that did not finish", "완료되지 않은 실행"),
    "unreadable": ("Files that could not be used", "사용할 수 없는 파일"),
    "hardware": ("Hardware and versions", "하드웨어와 버전"),
    "written by": ("This report was written by {version}.", "이 보고서를 작성한 버전: {version}."),
    "know": ("What to know", "알아 둘 점"),
    "estimates": ("Peak memory, estimated before and measured", "최대 메모리: 사전 추정과 측정"),
    "track.": ("", ""),
    "track.equal": ("Equal settings", "동일한 설정"),
    "track.recommended": ("Each side's recommended settings", "각자의 권장 설정"),
    # columns
    "arm": ("arm", "조건"),
    "metric": ("metric", "지표"),
    "ratio": ("ratio", "비율"),
    "interval": ("95 % interval", "대응표본 95 % 신뢰구간"),
    "spread": ("spread of pairs", "쌍 간 편차"),
    "pair": ("pair", "쌍"),
    "repeat": ("repeat", "회차"),
    "pairs": ("pairs", "쌍"),
    "verdict": ("verdict", "판정"),
    "needed": ("pairs to show 5 %", "5 % 차이를 확인하는 데 필요한 쌍 수"),
    "check": ("check", "검사"),
    "state": ("result", "결과"),
    "seen": ("seen", "확인된 값"),
    "setting": ("setting", "설정"),
    "why": ("why", "이유"),
    "machine": ("machine", "기기"),
    "phase": ("phase", "단계"),
    "estimated": ("estimated before", "사전 추정"),
    "measured": ("measured", "측정"),
    "error": ("error of the estimate", "추정 오차"),
    # verdicts
    "faster": ("faster", "더 빠름"),
    "slower": ("slower", "더 느림"),
    "less": ("less", "더 적음"),
    "more": ("more", "더 많음"),
    "no_difference_shown": ("no difference shown", "차이가 확인되지 않음"),
    "not_comparable": ("not comparable", "비교 불가"),
    "no_verdict": ("no verdict", "판정 없음"),
    # headline metrics
    "infer memory": ("inference memory", "Inference 메모리"),
    "infer time": ("inference time", "Inference 시간"),
    "train memory": ("fine-tuning memory", "Fine-Tuning 메모리"),
    "train time": ("fine-tuning time", "Fine-Tuning 시간"),
    "warm": ("{s} warm", "워밍업 제외 {s}"),
    "saved": ("**절감** (saved)", "**절감**"),
    "saved by": ("**절감** (saved): {arm} against {baseline}", "**절감**: {baseline} 대비 {arm}"),
    "one pair": ("one pair", "1쌍뿐"),
    "cells": (
        "Each cell is the geometric mean over the pairs. A saving is 1 − the ratio of two cells, computed before they are "
        "rounded; the verdicts below are of the same ratios.",
        "각 칸은 모든 쌍의 기하 평균입니다. 절감은 1 − 두 칸의 비율이며 반올림하기 전에 계산합니다. 아래 판정도 같은 비율에 대한 "
        "것입니다.",
    ),
    # how a run ended
    "status.finished": ("finished", "완료"),
    "status.failed": ("failed", "실패"),
    "status.oom": ("oom", "메모리 부족"),
    "status.killed": ("killed", "강제 종료됨"),
    "status.timeout": ("timeout", "시간 초과"),
    "status.unsupported": ("unsupported", "지원되지 않음"),
    "status.cancelled": ("cancelled", "취소됨"),
    "status.skipped": ("skipped", "건너뜀"),
    "status.not run": ("not run", "실행 안 됨"),
    # phases of a run that the machine may disturb
    "phase.infer": ("infer", "추론"),
    "phase.train": ("train", "학습"),
    # states of checks
    "equal": ("equal", "같음"),
    "broken": ("**DIFFERENT**", "**다름**"),
    "asked": ("different, as intended", "의도한 대로 다름"),
    "unknown": ("not checked: not recorded in every run", "기록이 없는 실행이 있어 검사 못 함"),
    # in the details of checks
    "detail.step": ("step", "스텝"),
    "detail.step 0 alone": ("step 0 alone", "0번 스텝만"),
    # checks
    "tokens": ("token ids and labels", "토큰 id와 레이블"),
    "batches": ("every batch, in order", "모든 배치와 그 순서"),
    "prompts": ("token ids given to generation", "생성에 주어진 토큰 id"),
    "adapter": ("first adapter (LoRA weights before training)", "초기 어댑터 (학습 전 LoRA 가중치)"),
    "float32": ("adapters trained in float32", "어댑터를 float32로 학습"),
    "losses": ("losses of steps 0–3", "0–3번 스텝의 손실"),
    "grad_norms": ("gradient norms of steps 0–3", "0–3번 스텝의 기울기 크기"),
    "eval_loss": ("evaluation loss after training, by one evaluator", "학습 후 평가 손실 (동일한 평가기)"),
    "work": ("steps, tokens, prompts, generated tokens", "스텝, 토큰, 프롬프트, 생성 토큰 수"),
    "softcap": ("Gemma 2's soft-capping applied", "Gemma 2 soft-capping 적용"),
    "versions": ("versions of the libraries", "라이브러리 버전"),
    "weights": ("model files (hash)", "모델 파일 (해시)"),
    "threads": ("CPU threads", "CPU 스레드 수"),
    "finite": ("all losses finite", "모든 손실이 유한함"),
    "scaler": ("the same steps skipped by float16's loss scaler", "float16 손실 스케일러가 같은 스텝을 건너뜀"),
    "alone": ("no two runs at the same time", "동시에 진행된 실행 없음"),
    "setting {key}": ("setting in effect: {key}", "실제 적용된 설정: {key}"),
    # several folders
    "where": ("folder", "폴더"),
    "differ": (
        "**Different machines**: {names}. Times and memory are compared within a machine only; nothing is pooled across.",
        "**서로 다른 기기**: {names}. 시간과 메모리는 같은 기기 안에서만 비교하며 기기 사이에 합치지 않습니다.",
    ),
    "same": (
        "The same kind of machine ({names}) in every folder. Their pairs are not pooled: they were not made in turns.",
        "모든 폴더가 같은 종류의 기기({names})입니다. 교대로 실행한 것이 아니므로 쌍을 합치지 않습니다.",
    ),
    "unlike_work": (
        "**Not the same work**: {what} differ between the folders, so their rows answer different questions.",
        "**같은 작업이 아님**: 다음 항목이 폴더마다 다르므로 각 행은 서로 다른 질문에 대한 답입니다: {what}.",
    ),
    # sentences
    "NOT COMPARABLE": ("NOT COMPARABLE", "비교 불가"),
    "breach": (
        "{track}{arm} against {baseline}: broken check: {check} ({detail}). No savings are reported.",
        "{track}{baseline} 대비 {arm}: 통과하지 못한 검사: {check} ({detail}). 절감량은 계산하지 않습니다.",
    ),
    "one_arm": ("{track}one arm only: nothing to compare with", "{track}조건이 하나뿐이라 비교할 대상이 없습니다"),
    "none_finished": ("{track}no run finished", "{track}완료된 실행이 없습니다"),
    "no_pairs": (
        "{track}{arm}: no pair in which both sides finished, so nothing is compared",
        "{track}{arm}: 양쪽 모두 완료된 쌍이 없어 비교하지 않습니다",
    ),
    "unchecked": (
        "{track}{arm}: not recorded, so not checked: {checks}",
        "{track}{arm}: 기록이 없어 검사하지 못한 것: {checks}",
    ),
    "one_seed": ("one seed", "seed 하나뿐"),
    "pairs_of": ("{pairs}, {left_out} disturbed and left out", "방해받은 {left_out}쌍을 제외한 {pairs}"),
    "left_out": (
        "{track}{arm}: {count} of {all} pairs were disturbed by the machine and are left out of figures and verdicts",
        "{track}{arm}: 전체 {all}쌍 가운데 {count}쌍은 실행 중 기기의 방해를 받아 수치와 판정에서 제외했습니다",
    ),
    "disturbed": ("Disturbed runs", "방해받은 실행"),
    "disturbed_pairs": (
        "The machine disturbed these runs; figures and verdicts leave out their pairs.",
        "기기의 방해를 받은 실행입니다. 이 실행이 속한 쌍은 수치와 판정에서 제외합니다.",
    ),
    "disturbed_candidates": (
        "The machine disturbed these runs; their figures count all the same.",
        "기기의 방해를 받은 실행입니다. 그 수치도 순위에 그대로 반영됩니다.",
    ),
    "made_again": (" (made again, {n})", " ({n}번째 다시 실행)"),
    "reason.longest_pause_s": ("the process was paused for {value} s", "프로세스가 {value}초 동안 멈춤"),
    "reason.pauses_s": ("the process was paused for {value} s in all", "프로세스가 모두 합해 {value}초 동안 멈춤"),
    "reason.cpu_wait_share": (
        "its threads waited {value} of their time for a processor",
        "스레드가 전체 시간의 {value} 동안 프로세서를 기다림",
    ),
    "reason.others_cpu_share": (
        "other programs took {value} of the processors",
        "다른 프로그램이 프로세서의 {value}를 사용함",
    ),
    "reason.stolen_share": (
        "the machine's host took {value} of the processors",
        "가상 머신의 호스트가 프로세서의 {value}를 가져감",
    ),
    "reason.swapped_in_mib": ("{value} MiB were read back from swap", "{value} MiB를 스왑에서 다시 읽음"),
    "reason.gpu_throttle_reasons": (
        "the GPU's clock was reduced for {value} of the time ({what})",
        "전체 시간의 {value} 동안 GPU 클럭이 낮아짐 ({what})",
    ),
    "reason.other_gpu_processes": (
        "other processes on the GPU: {value}",
        "GPU를 사용하는 다른 프로세스 {value}개",
    ),
    "few_pairs": (
        "{track}{arm}: number of pairs: {pairs}; no verdict (a verdict needs {needed})",
        "{track}{arm}: 쌍 {pairs}개; 판정 없음 (판정에는 {needed}쌍이 필요)",
    ),
    "not_interleaved": (
        "{track}{arm}: not interleaved: the arms did not take turns, so a drift of the machine falls on one of them; "
        "no verdict",
        "{track}{arm}: 교대 실행 아님: 기기 상태의 변화가 한쪽에만 영향을 줄 수 있어 판정하지 않습니다",
    ),
    "smoke": (
        "{track}{arm}: trainer=smoke only shows that everything runs; it is too short to measure anything",
        "{track}{arm}: trainer=smoke는 끝까지 실행되는지만 보여 주며, 측정하기에는 너무 짧습니다",
    ),
    "device": ("device: {name}", "기기: {name}"),
    "machines": (
        "different machines: times cannot be compared across them",
        "서로 다른 기기: 기기 사이의 시간은 비교할 수 없습니다",
    ),
    "cpu": (
        "memory is resident memory (RSS); figures of a CPU say nothing about a GPU",
        "메모리는 상주 메모리(RSS)입니다. CPU 수치로는 GPU에서의 결과를 알 수 없습니다",
    ),
    "device_difference": (
        "peak_vram_device_mib is the rise of the whole device's memory: NVML shows no processes here (a container, WSL2)",
        "peak_vram_device_mib는 GPU 전체 메모리 사용량이 늘어난 만큼입니다: 여기서는 NVML이 프로세스를 볼 수 없습니다(컨테이너, WSL2)",
    ),
    "model": ("model: {label}", "모델: {label}"),
    "lost": (
        "no result; it was killed together with its parent, or it is still running",
        "결과 없음; 부모 프로세스와 함께 종료되었거나 아직 실행 중입니다",
    ),
    "foreign": ("not of this folder's plan, left out", "이 폴더의 계획에 없어 제외했습니다"),
    "planned": ("{count} planned and not run", "계획된 {count}개가 실행되지 않았습니다"),
    "verdict_line": (
        "- **{metric}**: {verdict}: {change} ({arm} against {baseline}; 95 % interval {low} to {high}; pairs: {pairs})",
        "- **{metric}**: {verdict}: {change} ({baseline} 대비 {arm}; 대응표본 95 % 신뢰구간 {low} ~ {high}; {pairs}쌍)",
    ),
    "one_pair_line": (
        "- **{metric}**: {verdict}: {x} ({arm}) against {y} ({baseline}); one pair",
        "- **{metric}**: {verdict}: {arm} {x}, {baseline} {y}; 1쌍뿐",
    ),
    "method": (
        "Ratios are {arm} ÷ {baseline}. They and the values beside them are geometric means over the pairs; a value without "
        "a ratio is the median of the arm's runs. The interval is the paired t interval on log "
        "ratios. For each comparison of two arms Holm's correction limits the headline metrics (four at most) together to 5 % false "
        "alarms (Holm); its other metrics are a second family, and further comparisons in this report have theirs. An "
        "interval may therefore leave out 1 where no difference is shown. A difference in memory under "
        "{mib:g} MiB is none.",
        "비율은 {arm} ÷ {baseline}입니다. 비율과 그 옆의 값은 모든 쌍의 기하 평균이고, 비율이 없는 값은 조건별 실행의 중앙값입니다. 구간은 로그 비율의 대응표본 t 신뢰구간입니다. 판정할 때는 두 조건의 비교마다 핵심 지표(최대 네 가지)를 한 "
        "묶음으로 보고 오경보를 5 %로 제한합니다(Holm). 나머지 지표는 별도의 묶음이고, 이 보고서의 다른 비교도 저마다 따로 봅니다. 따라서 구간이 1을 포함하지 않아도 '차이가 "
        "확인되지 않음'일 수 있습니다. {mib:g} MiB 미만의 메모리 차이는 차이로 보지 않습니다.",
    ),
    "test_settings": (
        "Settings: inference on {prompts} prompts, {new} new tokens each; fine-tuning with {rows} pairs, {eval_rows} for "
        "validation, {length}, batch size {batch}, LoRA rank {rank}.",
        "설정: 추론은 프롬프트 {prompts}개(각 {new}토큰 생성); 파인튜닝은 {rows}쌍, 검증 {eval_rows}쌍, {length}, "
        "batch size {batch}, LoRA rank {rank}.",
    ),
    "epochs": ("{n} epochs", "{n} epoch"),
    "steps": ("at most {n} steps", "최대 {n}스텝"),
    "no_differences": ("none besides what the back ends are", "백엔드 자체의 차이 외에는 없음"),
    "by_asking": ("intended", "의도한 차이"),
    "by_itself": ("not intended", "의도하지 않은 차이"),
    "changed": (
        "{arm}: asked for {key}={want}, in effect {have}",
        "{arm}: 요청한 설정 {key}={want}, 실제 적용된 값 {have}",
    ),
    **CURVE,
    **PLOTS,
    **SELECTION,
    **JUDGE,
}


def say(lang: str, code: str, **values: object) -> str:
    """The text of a code; a check named 'setting train.loss' takes the words of 'setting {key}'."""
    if code.startswith("setting ") and code not in WORDS:
        values["key"], code = code.removeprefix("setting "), "setting {key}"
    english, korean = WORDS[code]
    return (korean if lang == "ko" else english).format(**values)

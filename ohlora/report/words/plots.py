"""The texts of the plots, in English and in Korean."""

from __future__ import annotations

PLOTS: dict[str, tuple[str, str]] = {
    # titles are read aloud by screen readers
    "plot.loss_title": ("Loss per optimizer step", "최적화 스텝별 손실"),
    "plot.memory_title": ("Memory over time", "시간에 따른 메모리"),
    "plot.ratio_title": ("Ratios to the baseline", "기준 대비 비율"),
    "plot.pareto_memory_title": ("Answer quality against fine-tuning memory", "답변 품질과 Fine-Tuning 메모리"),
    "plot.pareto_time_title": ("Answer quality against fine-tuning time", "답변 품질과 Fine-Tuning 시간"),
    # written into the plots
    "plot.nothing": ("not measured", "측정값 없음"),
    "plot.step": ("optimizer step", "최적화 스텝"),
    "plot.loss": ("loss (nats/token)", "손실 (nats/token)"),
    "plot.loss_key": ("line: training loss · marker: evaluation loss", "선: 학습 손실 · 기호: 평가 손실"),
    "plot.coincide": (
        "curves that coincide: a dashed line on a wide one",
        "곡선이 겹치면 굵은 선 위에 점선으로 보입니다",
    ),
    "plot.not_finite": (
        "× on the step axis: the loss was not a finite number (NaN or infinite)",
        "스텝 축 위의 ×: 손실이 유한한 값이 아님 (NaN 또는 무한대)",
    ),
    "plot.seconds": ("seconds since the process's first sample", "프로세스의 첫 측정 이후 시간 (초)"),
    "plot.memory": ("memory (MiB)", "메모리 (MiB)"),
    "plot.peak": ("peak", "최대"),
    "plot.ratio": ("other ÷ baseline, log scale", "비교 대상 ÷ 기준, 로그 눈금"),
    "plot.hollow": ("hollow: too few pairs for an interval", "빈 점: 쌍이 부족해 구간을 구할 수 없음"),
    "plot.pareto_quality": (
        "chrF, malformed answers as empty (higher is better)",
        "chrF, 형식이 온전하지 않은 답변은 빈 답변으로 계산 (높을수록 좋음)",
    ),
    "plot.pareto_key": (
        "filled and joined: nothing is better in both · hollow: something is · larger marker: higher rank",
        "채운 점, 이은 선: 둘 다 더 나은 후보가 없음 · 빈 점: 더 나은 후보가 있음 · 큰 점: 높은 rank",
    ),
    "plot.pareto_memory": (
        "peak fine-tuning memory (MiB; less is better)",
        "Fine-Tuning 최대 메모리 (MiB, 적을수록 좋음)",
    ),
    "plot.pareto_time": ("fine-tuning time (s; less is better)", "Fine-Tuning 시간 (s, 적을수록 좋음)"),
    "plot.left_out": (
        "{arm}: {count} of {all} pairs disturbed and left out",
        "{arm}: 전체 {all}쌍 중 방해받은 {count}쌍 제외",
    ),
    "plot.disturbed": (" (disturbed: {phases})", " (방해받음: {phases})"),
    "plot.phase.load": ("load", "로드"),
    "plot.phase.infer": ("inference", "추론"),
    "plot.phase.train": ("training", "학습"),
    "plot.phase.eval": ("evaluation", "평가"),
    "plot.process.infer": ("Inference process", "추론 프로세스"),
    "plot.process.train": ("Fine-tuning process", "파인튜닝 프로세스"),
}

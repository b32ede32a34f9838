"""The texts of the plots, in English and in Korean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PlotWords:
    """Titles are read aloud by screen readers; the rest is written into the plots. `phases`, `processes`: by key."""

    loss_title: str = "Loss per optimizer step"
    memory_title: str = "Memory over time"
    ratio_title: str = "Ratios to the baseline"
    nothing: str = "not measured"
    step: str = "optimizer step"
    loss: str = "loss (nats/token)"
    loss_key: str = "line: training loss · marker: evaluation loss"
    coincide: str = "curves that coincide: a dashed line on a wide one"
    not_finite: str = "× on the step axis: the loss was not a finite number (NaN or infinite)"
    seconds: str = "seconds since the process's first sample"
    memory: str = "memory (MiB)"
    peak: str = "peak"
    ratio: str = "other ÷ baseline, log scale"
    interval: str = "ratio (interval)"
    hollow: str = "hollow: too few pairs for an interval"
    pareto_quality: str = "chrF, malformed answers as empty (higher is better)"
    pareto_key: str = "filled and joined: nothing is better in both · hollow: something is · larger marker: higher rank"
    pareto_memory: str = "peak fine-tuning memory (MiB; less is better)"
    pareto_time: str = "fine-tuning time (s; less is better)"
    pareto_memory_title: str = "Answer quality against fine-tuning memory"
    pareto_time_title: str = "Answer quality against fine-tuning time"
    phases: Mapping[str, str] = field(
        default_factory=lambda: {"load": "load", "infer": "inference", "train": "training", "eval": "evaluation"}
    )
    processes: Mapping[str, str] = field(
        default_factory=lambda: {"infer": "Inference process", "train": "Fine-tuning process"}
    )


ENGLISH = PlotWords()
KOREAN = PlotWords(
    loss_title="최적화 스텝별 손실",
    memory_title="시간에 따른 메모리",
    ratio_title="기준 대비 비율",
    nothing="측정값 없음",
    step="최적화 스텝",
    loss="손실 (nats/token)",
    loss_key="선: 학습 손실 · 기호: 평가 손실",
    coincide="곡선이 겹치면 굵은 선 위에 점선으로 보입니다",
    not_finite="스텝 축 위의 ×: 손실이 유한한 값이 아님 (NaN 또는 무한대)",
    seconds="프로세스의 첫 측정 이후 시간 (초)",
    memory="메모리 (MiB)",
    peak="최대",
    ratio="비교 대상 ÷ 기준, 로그 눈금",
    interval="비율 (구간)",
    hollow="빈 점: 쌍이 부족해 구간을 구할 수 없음",
    pareto_quality="chrF, 형식이 온전하지 않은 답변은 빈 답변으로 계산 (높을수록 좋음)",
    pareto_key="채운 점, 이은 선: 둘 다 더 나은 것이 없음 · 빈 점: 더 나은 것이 있음 · 큰 점: 높은 rank",
    pareto_memory="Fine-Tuning 최대 메모리 (MiB, 적을수록 좋음)",
    pareto_time="Fine-Tuning 시간 (s, 적을수록 좋음)",
    pareto_memory_title="답변 품질과 Fine-Tuning 메모리",
    pareto_time_title="답변 품질과 Fine-Tuning 시간",
    phases={"load": "로드", "infer": "추론", "train": "학습", "eval": "평가"},
    processes={"infer": "추론 프로세스", "train": "파인튜닝 프로세스"},
)

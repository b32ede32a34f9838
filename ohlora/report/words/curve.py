"""The texts of the learning curve, in English and in Korean."""

from __future__ import annotations

CURVE: dict[str, tuple[str, str]] = {
    "c.title": ("Would more rows help?", "행을 늘리면 도움이 될까요?"),
    "c.rows": ("training rows", "학습 행"),
    "c.share": ("share", "비중"),
    "c.loss": ("eval loss (nats/token)", "평가 손실 (nats/token)"),
    "c.interval": ("95 % interval", "95 % 신뢰구간"),
    "c.seeds": ("seeds", "seed 수"),
    "c.step": ("best step (median)", "최적 스텝(중앙값)"),
    "c.gain": ("loss saved by this step up", "행을 늘려 줄어든 손실"),
    "c.more": (
        "**More rows would help.** {larger} rows instead of {smaller} lowered the eval loss by {gain} nats/token "
        "({low} to {high}). The next step of the same factor ({factor}×) would help by about as much if the curve goes "
        "on, and by less if it flattens.",
        "**행을 늘리면 도움이 됩니다.** {smaller}행 대신 {larger}행으로 학습했더니 평가 손실이 {gain} nats/token "
        "({low} ~ {high}) 줄었습니다. 같은 배수({factor}배)로 더 늘리면 추세가 이어질 때 비슷한 만큼, 곡선이 완만해지면 그보다 적게 줄어듭니다.",
    ),
    "c.none": (
        "**No gain shown.** {larger} rows instead of {smaller} changed the eval loss by {change} nats/token; the "
        "interval of what was saved, {low} to {high}, does not lie above 0.",
        "**이득이 확인되지 않았습니다.** {smaller}행 대신 {larger}행으로 학습했을 때 평가 손실의 변화는 {change} nats/token입니다. "
        "줄어든 양의 신뢰구간({low} ~ {high})이 0보다 크지 않습니다.",
    ),
    "c.few": (
        "**No verdict**: {count} seeds have both {smaller} and {larger} rows, and a verdict needs {needed} "
        "(curve.seeds={needed}).",
        "**판정하지 않습니다**: {smaller}행과 {larger}행을 모두 마친 seed가 {count}개입니다. 판정에는 {needed}개가 필요합니다"
        "(curve.seeds={needed}).",
    ),
    "c.nothing": (
        "**No verdict**: the two largest shares have no finished run with the same seed.",
        "**판정하지 않습니다**: 가장 큰 두 비중에서 같은 seed로 완료된 실행이 없습니다.",
    ),
    "c.method": (
        "Every run is evaluated on the same validation rows. The shares are nested and hold every category in "
        "proportion; each seed draws its own, and the first adapter and the order of the rows with them. Intervals are t "
        "intervals over seeds; gains are paired by seed. With the same number of epochs fewer rows mean fewer steps.",
        "모든 실행을 같은 검증 행으로 평가합니다. 작은 비중은 큰 비중에 포함되고 범주 비율이 유지됩니다. 비중에 드는 행, 처음 어댑터, 행 순서는 "
        "seed마다 새로 정합니다. 구간은 seed에 대한 t 신뢰구간이고, 줄어든 손실은 같은 seed끼리 비교합니다. epoch 수가 같으므로 행이 적으면 "
        "스텝도 적습니다.",
    ),
    "c.last": (
        "The loss is that of the last step (trainer.keep=last): with more epochs than a share can bear, its loss is too "
        "high. trainer.keep=best compares each share at its best.",
        "손실은 마지막 스텝의 값입니다(trainer.keep=last). epoch이 너무 많으면 작은 비중의 손실이 지나치게 높게 나옵니다. "
        "trainer.keep=best를 쓰면 비중마다 가장 좋은 시점끼리 비교합니다.",
    ),
    "c.ended": ("{arm}, seed {seed}: {status}{reason}", "{arm}, seed {seed}: {status}{reason}"),
    "c.missing": ("{count} planned runs have no result", "계획한 실행 중 {count}개는 결과가 없습니다"),
    "c.unfinite": ("{arm}, seed {seed}: its loss is not finite", "{arm}, seed {seed}: 손실이 유한하지 않습니다"),
    "plot.learning_title": ("Eval loss by training rows", "학습 행 수에 따른 평가 손실"),
    "plot.learning_loss": ("eval loss (nats/token)", "평가 손실 (nats/token)"),
    "plot.learning_rows": ("training rows", "학습 행 수"),
    "plot.learning_key": (
        "thick: mean with its 95 % interval · thin: a seed each",
        "굵은 선: 평균과 95 % 신뢰구간 · 가는 선: seed별",
    ),
}

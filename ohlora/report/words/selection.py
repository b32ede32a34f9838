"""Every sentence of the selection report, in English and in Korean."""

from __future__ import annotations

SELECTION: dict[str, tuple[str, str]] = {
    # choosing a model: headings and columns
    "s.title": ("Model selection", "모델 선정 보고서"),
    "s.choice": ("The choice", "선정 결과"),
    "s.against": ("What speaks against it", "이 선택에 불리한 점"),
    "s.ranking": ("Ranking", "순위"),
    "s.weights": ("Weights, and whether the choice depends on them", "가중치와 그에 따른 결과 변화"),
    "s.unmeasured": ("Not measured, and why", "측정하지 못한 후보와 이유"),
    "s.answers": ("The answers, side by side", "답변 비교"),
    "s.defects": ("Answers, by defect", "답변의 결함"),
    "s.model": ("model", "모델"),
    "s.params": ("parameters", "파라미터"),
    "s.licence": ("licence", "라이선스"),
    "s.unknown": ("unknown", "알 수 없음"),
    "s.infer_memory": ("Inference memory", "Inference 메모리"),
    "s.infer_time": ("Inference time", "Inference 시간"),
    "s.rank": ("LoRA rank", "LoRA rank"),
    "s.train_memory": ("Fine-Tuning memory", "Fine-Tuning 메모리"),
    "s.train_time": ("Fine-Tuning time", "Fine-Tuning 시간"),
    "s.bits": ("bits per character", "글자당 bits"),
    "s.eval_loss": ("eval loss", "eval loss"),
    "s.chrf": ("chrF", "chrF"),
    "s.usable_chrf": ("chrF of well-formed answers", "형식이 온전한 답변의 chrF"),
    "s.usable": ("well-formed answers", "형식이 온전한 답변"),
    "s.grade": ("a person's grade (1–5)", "사람 평가 (1–5)"),
    "s.place": ("place", "순위"),
    "s.score": ("score", "점수"),
    "s.part": ("part", "항목"),
    "s.made_of": ("mean of", "구성 (평균)"),
    "s.weight": ("weight", "가중치"),
    "s.doubled": ("if doubled", "두 배로 하면"),
    "s.halved": ("if halved", "절반으로 하면"),
    "s.same": ("same choice", "같은 선택"),
    "s.reference": ("reference", "참조 답변"),
    "s.answer": ("answer", "답변"),
    "s.defect": ("defect", "결함"),
    "s.part.quality": ("quality", "품질"),
    "s.part.memory": ("memory", "메모리"),
    "s.part.time": ("time", "시간"),
    "s.part.grade": ("a person's grade", "사람 평가"),
    "s.why.quality": (
        "the purpose of the model; a bad answer does not become good by being cheap",
        "모델을 고르는 목적이며, 나쁜 답변은 비용이 적어도 좋은 답변이 되지 않습니다",
    ),
    "s.why.memory": (
        "whether a run fits is checked before it starts; below that limit, less is only convenient",
        "메모리에 들어가는지는 시작 전에 확인하며, 그 한계 안에서는 적을수록 편할 뿐입니다",
    ),
    "s.why.time": (
        "a person waits for every answer and for every training",
        "답변할 때도 학습할 때도 사람이 기다립니다",
    ),
    "s.why.grade": (
        "no metric replaces reading the answers; below quality, since it is one person's view",
        "답변을 직접 읽는 것을 대신할 지표는 없습니다. 한 사람의 의견이므로 품질보다 낮게 둡니다",
    ),
    "s.empty": ("empty", "빈 답변"),
    "s.repeated": ("in a loop", "반복"),
    "s.wrong_language": ("wrong language", "다른 언어"),
    "s.never_ending": ("never-ending", "끝나지 않음"),
    "s.distinct_1": ("distinct-1", "distinct-1"),
    "s.distinct_2": ("distinct-2", "distinct-2"),
    # choosing a model: sentences
    "s.settings": (
        "Settings: inference of the base model on {prompts} prompts, {new} new tokens each; fine-tuning with {rows} "
        "pairs, {eval_rows} for validation, {length}, batch size {batch}; then the fine-tuned model answers {answers} "
        "held-out questions and ends each answer itself, with at most {new} tokens.",
        "설정: 추론(기본 모델)은 프롬프트 {prompts}개(각 {new}토큰 생성); 파인튜닝은 {rows}쌍, 검증 {eval_rows}쌍, {length}, "
        "batch size {batch}; 이어서 파인튜닝된 모델이 학습에 쓰지 않은 질문 {answers}개에 답변(스스로 끝낼 때까지, 최대 {new}토큰).",
    ),
    "s.none": (
        "No candidate finished, so no model is chosen.",
        "완료된 후보가 없어 선정할 수 없습니다.",
    ),
    "s.only": (
        "**{name}**: no other model finished, so there is nothing to compare it with (score {score} of 1, best of its ranks).",
        "**{name}**: 완료된 다른 모델이 없어 비교 대상이 없습니다 (점수 {score}, 만점 1, 이 모델의 rank 중 최고).",
    ),
    "s.chosen": (
        "**{name}**: score {score} of 1. The best other model is {other} with {other_score}. The part that decides most is "
        "{part}: {texts}.",
        "**{name}**: 점수 {score} (만점 1). 다른 모델 중 최고: {other}, 점수 {other_score}. 가장 크게 작용한 항목: {part} "
        "({texts}).",
    ),
    "s.tied": (
        "**{names}** share the first place (score {score} of 1): these figures do not choose between them.",
        "**{names}**: 점수 {score} (만점 1)로 공동 1위이며, 이 수치로는 하나를 고를 수 없습니다.",
    ),
    "s.versus": ("{figure} {own} against {other}", "{figure} {own} (상대 {other})"),
    "s.against.licence": (
        "its licence restricts its use: {title}. {restrictions}",
        "라이선스에 사용 제한이 있습니다: {title}. {restrictions}",
    ),
    "s.against.unknown": (
        "its licence is not known: look it up before you use it",
        "라이선스를 알 수 없습니다. 사용하기 전에 확인하세요",
    ),
    "s.against.dominated": (
        "{others}: at least as good by chrF, with no more {cost}",
        "{others}: chrF가 같거나 더 높고 {cost}도 더 들지 않습니다",
    ),
    "s.against.behind": (
        "{other} is ahead in {part}, over all figures of that part: {texts}",
        "{other}: {part} 항목의 모든 수치를 합치면 앞섭니다 ({texts})",
    ),
    "s.against.sensitive": (
        "with the weight of {part} {factor}, the choice is {names}",
        "{part}의 가중치를 {factor} 선정되는 후보: {names}",
    ),
    "s.factor.2": ("doubled", "두 배로 하면"),
    "s.factor.0.5": ("halved", "절반으로 하면"),
    "s.against.close": (
        "its lead over {other} is only {lead} of a score of 1; single runs cannot show a difference that small",
        "점수 차이가 {lead}뿐이며(상대: {other}), 한 번의 실행으로는 이 정도 차이를 확인할 수 없습니다",
    ),
    "s.against.malformed": (
        "{share} of its answers are not well-formed",
        "답변의 {share}가 형식이 온전하지 않습니다",
    ),
    "s.against.unmeasured": (
        "{count} of {total} models were not measured on this machine: {names}",
        "모델 {total}개 중 {count}개는 이 기기에서 측정되지 않았습니다: {names}",
    ),
    "s.against.once": (
        "each model and rank was trained once, with one seed: there are no intervals, and another seed may lead to another "
        "choice",
        "모델과 rank마다 seed 하나로 한 번씩만 학습했으므로 구간이 없으며, seed가 바뀌면 선택이 달라질 수 있습니다",
    ),
    "s.against.words": (
        "chrF counts letters in common with one reference answer, not whether an answer is right or in character; an "
        "unrelated answer, the reference of another question, would get {floor}. Read the answers below",
        "chrF는 참조 답변 하나와 겹치는 글자를 셀 뿐, 답변이 맞는지 오로라다운지는 보지 못합니다. 다른 질문의 참조 답변처럼 무관한 "
        "답변도 {floor}점을 얻습니다. 아래의 답변을 직접 읽어 보세요",
    ),
    "s.method": (
        "Each figure is scored by its ratio to the best of this machine: own ÷ best where more is better, best ÷ own where "
        "less is. From chrF, the score that an unrelated Korean answer would get (references of other questions) is "
        "subtracted first. A part is the mean of its figures, the score the mean of the parts by their weights "
        "(`--weights`). Ratios, not min–max, so a bad candidate does not change the scores of others. Equal scores share a "
        "place. A figure that one finished candidate lacks is not counted for any.",
        "각 수치는 이 기기의 최고값에 대한 비율로 점수를 매깁니다: 많을수록 좋은 것은 자신 ÷ 최고, 적을수록 좋은 것은 최고 ÷ 자신. "
        "chrF에서는 무관한 한국어 답변이 얻을 점수(다른 질문의 참조 답변의 chrF)를 먼저 뺍니다. 항목은 그 수치들의 평균이고, 점수는 "
        "항목들의 가중 평균입니다(`--weights`로 변경). min–max가 아니라 비율이므로 나쁜 후보가 다른 후보의 점수를 바꾸지 않습니다. "
        "점수가 같으면 순위도 같습니다. 완료된 후보 중 하나라도 없는 수치는 모두에게 계산하지 않습니다.",
    ),
    "s.exchange": (
        "In other words: using ten times the least memory costs as much score as {memory} of the best quality, ten times "
        "the least time as much as {time}.",
        "바꾸어 말하면, 가장 적은 메모리의 열 배를 쓰면 최고 품질의 {memory}만큼, 가장 짧은 시간의 열 배가 걸리면 {time}만큼 점수를 "
        "잃습니다.",
    ),
    "s.left_out": (
        "Not counted, since not every finished candidate has it: {figures}.",
        "완료된 후보 중 하나라도 값이 없어 계산하지 않은 수치: {figures}.",
    ),
    "s.tokenizers": (
        "eval loss is in nats per token and depends on the vocabulary: compare it only between ranks of one model. Between "
        "models compare bits per character: eval loss × its number of tokens ÷ (ln 2 × characters of the references)",
        "eval loss는 토큰당 nats이므로 어휘에 따라 달라집니다. 한 모델의 rank 사이에서만 비교하세요. 모델 사이에서는 글자당 bits를 비교합니다: "
        "eval loss × 손실이 계산된 토큰 수 ÷ (ln 2 × 참조 답변의 글자 수)",
    ),
    "s.base": (
        "inference is that of the base model, which is the same at every rank: the median of n runs",
        "추론은 rank와 무관한 기본 모델의 값이며, n번 실행의 중앙값입니다",
    ),
    "s.usable_means": (
        "well-formed: not empty, not in a loop, in the reference's language, ended by the model itself; it may still be wrong",
        "형식이 온전한 답변: 비어 있지 않고, 반복이 없고, 참조 답변과 같은 언어이며, 모델이 스스로 끝낸 답변(내용은 틀릴 수 있음)",
    ),
    "s.other_questions": (
        "**Not the same questions** in every run, so chrF and the shares are not comparable",
        "**같은 질문이 아님**: 실행마다 답변한 질문이 달라 chrF와 비율을 비교할 수 없습니다",
    ),
    "s.grades_hint": (
        "a person's grades, from 1 to 5: fill in {path} and write the report again, then they count",
        "사람 평가(1–5): {path} 파일을 채우고 보고서를 다시 만들면 순위에 반영됩니다",
    ),
    "s.grades_unknown": (
        "grades of candidates that are not here were left out: {names}",
        "여기에 없는 후보의 평가는 제외했습니다: {names}",
    ),
    "s.grades_wrong": (
        "a grade was left out: {problem}",
        "제외한 평가: {problem}",
    ),
    "estimates.before": (
        "Every estimate was made before its run.",
        "모든 추정은 실행 전에 한 것입니다.",
    ),
    "estimates.judged": (
        "Judged on runs of models and devices that no term of the estimate was fitted on: {n} figures, error at most "
        "{worst}, mean {mean}.",
        "추정식의 어느 항을 맞추는 데도 쓰지 않은 모델과 기기의 실행으로 평가: 수치 {n}개, 오차 최대 {worst}, 평균 {mean}.",
    ),
    "estimates.fitted": (
        "Not a judgement: {n} figures are of models that terms were fitted on with other runs ({models}, on a CPU); their "
        "error is at most {worst}, mean {mean}, and says little about other models.",
        "평가에서 제외: 수치 {n}개는 다른 실행으로 추정식의 항을 맞추는 데 쓴 모델({models}, CPU)의 것이며, 오차 최대 {worst}, 평균 {mean}. "
        "다른 모델의 오차는 이것으로 알 수 없습니다.",
    ),
    "estimates.unjudged": (
        "So this report does not judge the estimate.",
        "따라서 이 보고서로는 추정을 평가할 수 없습니다.",
    ),
    "s.shown_ranks": (
        "Of each model, the rank with the highest score; all answers are in `samples/answer.jsonl` of each run.",
        "모델마다 점수가 가장 높은 rank의 답변입니다. 모든 답변은 각 실행의 `samples/answer.jsonl`에 있습니다.",
    ),
    "s.several": (
        "**Different machines**: {names}. Times and memory are ranked within a machine only.",
        "**서로 다른 기기**: {names}. 시간과 메모리의 순위는 같은 기기 안에서만 매깁니다.",
    ),
}

"""Talk about the task: sentences in which a model speaks of the request and does not continue it.

"The original sentence is incorrect", "I'm sorry to hear that", "Could you give more context?": such
sentences have a mood, but not that of a continuation. They are told by what they speak of (the text
as a text, its wording, the request) and by who speaks (an assistant to its user).
"""

from __future__ import annotations

import re

_EDITED = (
    r"sentence|phrase|paragraph|passage|clause|statement|text|wording|word order|response|prompt|"
    r"question|message|input|version|answer"
)
_EDIT = (
    r"correct(?:ed|ing)?|revis(?:e|ed|ing)|rephras(?:e|ed|ing)|reword(?:ed|ing)?|edit(?:ed|ing)?|"
    r"rewrit(?:e|ten|ing)|improv(?:e|ed|ing)|enhanc(?:e|ed|ing)|modif(?:y|ied|ying)|"
    r"complet(?:e|ed|ing)|shorten(?:ed|ing)?|simplif(?:y|ied|ying)|clarif(?:y|ied|ying)|"
    r"translat(?:e|ed|ing)|proofread(?:ing)?|polish(?:ed|ing)?|restat(?:e|ed|ing)|"
    r"paraphras(?:e|ed|ing)|combin(?:e|ed|ing)|add(?:ed|ing)?|remov(?:e|ed|ing)|"
    r"chang(?:e|ed|ing)|replac(?:e|ed|ing)|fix(?:ed|ing)?|adjust(?:ed|ing)?|updat(?:e|ed|ing)"
)
_PATTERNS = (
    # Words that speak of a text as a text.
    rf"\b(?:the|this|that|your|my|each|an?|both|these|those)\s+(?:\w+(?:'s)?\s+){{0,2}}?"
    rf"(?:original|given|provided|following|corrected|revised|rephrased|rewritten|completed?|"
    rf"incomplete|edited|improved|modified|updated|above|first|second|last)\s+(?:{_EDITED})s?\b",
    r"\b(?:this|your|the)\s+(?:sentences?|phrase|paragraph|clause|prompt)\s+"
    r"(?:is|are|was|were|has|have|does|doesn't|do|seems?|appears?|contains?|needs?|should|could|"
    r"can|starts?|ends?|implies|implied|suggests?|describes?|refers?|complete|reads?|makes?|"
    r"provided?|given|above)\b",
    r"\b(?:sentence|paragraph|clause|phrase|prompt)s?'s?\s+\w+",
    r"\b(?:of|to|in|for|with|complete|from|make|making) (?:the|this|your|that|each) "
    r"(?:sentence|paragraph|clause|phrase|wording)s?\b",
    r"\b(?:grammar|grammatical(?:ly)?|ungrammatical|punctuation|apostrophes?|adjectives?|adverbs?|"
    r"prepositions?|conjunctions?|pronouns?|typos?|misspell\w*|rephras\w+|reword\w+|paraphras\w+|"
    r"proofread\w*|word (?:order|choice|count)|(?:past|present|future) tense|"
    r"subject-verb|run-on|sentence structure|fill(?:ed|ing)? in the blanks?|missing words?|"
    r"extra commas?|unnecessary words|number of words|"
    r"previous (?:responses?|messages?|answers?))\b",
    rf"^(?:here(?:'s| is| are)|below (?:is|are))\b[^.!?]*\b(?:{_EDIT})\b",
    rf"^(?:here(?:'s| is| are)|below (?:is|are)) (?:an?|the|some|one|your|another|my|\w+)\b[^.!?]*"
    rf"\b(?:{_EDITED}|example|way|list|suggestion|option|rewrite|translation|summary|possible)s?\b",
    r"^(?:no|the) (?:correction|change|revision|edit)s?\b",
    rf"^to (?:{_EDIT}|make|create|avoid|write|express|convey)\b[^.!?]*\b(?:{_EDITED}|"
    r"descriptive|concise|precise|clear(?:er)?|vivid|detail|flow|clarity|list|recipe|words?)\b",
    r"^in order to\b[^.!?]*\b(?:sentence|clarity|flow|text|paragraph)\b",
    # An assistant that speaks of what it does.
    rf"\b(?:i|we)(?:'ve| have|'ll| will|'d| would| can| could|'m going to| might| may| just)?"
    rf"(?: also| then| now| like to| have)* (?:{_EDIT}|suggest|recommend|propose|advise)\b"
    rf"[^.!?]*(?:\b(?:{_EDITED}|words?|it|them|changes?|adjective|rephrasing|using|that you)\b"
    r"|[\"“])",
    r"\bi(?:'ve| have)? made (?:the|these|those|some|a few|several|any|minor|small)\b[^.!?]*"
    r"\b(?:changes?|corrections?|edits?|adjustments?|revisions?)\b",
    r"\b(?:i|we)(?:'m| am|'re| are)? (?:can't|cannot|can not|couldn't|unable|not able|won't|"
    r"don't|do not|am unable|can only)\b[^.!?]*\b(?:help|assist|provide|complete|fulfil\w*|"
    r"generate|write|create|answer|respond|discuss|continue|engage|comply|understand (?:the|what|"
    r"your)|have (?:enough|personal|feelings|access|the ability))\b",
    r"\bas an? (?:\w+ )?(?:ai|artificial intelligence|language model|assistant|chatbot)\b",
    r"\b(?:i'm|i am|i was) (?:just |only )?an? (?:\w+ )?(?:ai|artificial intelligence|"
    r"language model|(?:\w+ )?assistant|chatbot|virtual \w+)\b",
    r"\b(?:i'd|i would|i'll|i will|i'm|i am|i might|i can|i could) (?:be )?(?:more than )?"
    r"(?:happy|glad|pleased|delighted|able|here|ready) to (?:help|assist)\b",
    r"\b(?:how|what) (?:can|may|could|would|do) (?:i|you)\b[^.!?]*\b(?:help|assist|like me|do for "
    r"you|today)\b[^.!]*\?",
    r"\b(?:let me know|feel free to|please (?:provide|clarify|let|share|specify|give|tell|note|"
    r"rephrase|ask|try|complete|feel)|is there anything (?:else|specific))\b",
    r"\b(?:could|can|would|will) you (?:please |kindly )?(?:provide|clarify|tell me|share|specify|"
    r"give me|elaborate|explain|rephrase|complete|let me|like me)\b",
    r"\bwould you like (?:me|to|a|some|help)\b[^.!]*\?",
    r"\byour (?:sentence|prompt|request|question|message|statement|query|input|essay|paragraph|"
    r"response|completion|writing|text|help was needed|submission|story (?:is|was|has|seems))\b",
    r"\bthank(?:s| you)(?: so much| very much)? for (?:sharing|your|asking|providing|letting|"
    r"the (?:information|prompt|question|sentence|clarification)|reaching|bringing)\b",
    r"^(?:i'm|i am|we're|so|very|really|oh,? i'm)? ?(?:so |very |truly |really |deeply )?sorry"
    r"(?:,| to hear| for (?:your|the (?:confusion|misunderstanding|mistake|error))| about (?:that|"
    r"your)| (?:but|that) (?:i|you)| you)",
    r"^(?:i )?(?:apologi[sz]e|my apologies)\b",
    r"\bsorry to hear\b",
    r"^(?:that's|that is|it's|this is) (?:great|wonderful|fantastic|good|terrible|awful|lovely|"
    r"a great|a wonderful) (?:to hear|news)\b",
    r"^congratulations\b",
    r"\bi understand (?:that )?(?:you|your|how you)\b",
    r"^(?:it|that) (?:seems|sounds|looks|appears) (?:like|that|as (?:if|though)) (?:you|your|the "
    rf"(?:{_EDITED})|there (?:is|are|was|might))\b",
    r"\b(?:it is|it's|is) not (?:possible|clear|appropriate) to (?:fill|complete|determine|provide|"
    r"answer|say|tell|know)\b",
    r"(?:\bnot|n't|\bwithout|\bneeds?|\bprovide|\bgive|\black|\blacks) (?:enough|more|further|"
    r"additional|any additional) (?:context|information|details?)\b",
    r"\bin (?:this|that|the given) context\b",
    r"\b(?:doesn't|does not|don't|do not|didn't) (?:make (?:any )?(?:sense|grammatical)|"
    r"contain an?\b|provide (?:enough|any))",
    r"^(?:hello|hi|hey|greetings|welcome)(?: there)?[!,.]",
    r"^(?:i'm|i am) (?:a )?(?:happy|glad|here) to (?:help|assist)",
    r"^(?:you're|you are) (?:welcome|right|correct|absolutely)\b",
    r"^(?:note|explanation|correction|rephrased|revised|corrected|original|grammar)\s*:",
    r"^(?:a|an|one) (?:great|good|perfect|possible|better|more) (?:example|way|choice|option|"
    r"suggestion)\b[^.!?]*\b(?:to|of|is|would|could|my|service|sentence)\b",
)
_TALK = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE)
#: Sentences that courts pass.
_COURT = re.compile(r"\b(?:prison|jail|death|life|judge|court|convict\w*|years?)\b", re.IGNORECASE)
_NOUN = re.compile(rf"\b(?:{_EDITED})\b")
_REWRITE = re.compile(
    r"\b(?:original|correct(?:ed|ing|ion)|revis(?:ed|ing|ion)|rephras\w+|rewrit\w+|reword\w+|"
    r"edit(?:ed|ing|s)?|improv\w+|grammar|grammatical\w*|punctuation|clarity|paraphras\w+|"
    r"translat\w+)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^[\s\"'“‘«*_`#>(\[-]+")


def talks_about_task(sentence: str, prompt: str = "") -> bool:
    """Whether a model's first sentence speaks of the task instead of doing it.

    Args:
        sentence: The first sentence of an answer, in English.
        prompt: Control prompt and injected sentence: a paragraph that they speak of is no
            paragraph of the task's.

    >>> talks_about_task("The original sentence is incorrect.")
    True
    >>> talks_about_task("Her last sentence in the diary was short.")
    False
    >>> talks_about_task("He read the second paragraph.", "He read the second paragraph aloud.")
    False
    """
    plain = _OPENING.sub("", sentence.replace("’", "'"))
    if _COURT.search(plain):
        return False
    theirs = set(_NOUN.findall(prompt.lower()))
    return any(
        theirs.isdisjoint(_NOUN.findall(found.group().lower())) for found in _TALK.finditer(plain)
    )


def rewrites(introduction: str) -> bool:
    """Whether an introduction announces the prompt in other words, not what comes after it.

    >>> rewrites("Here is the corrected sentence:"), rewrites("Here is the completed sentence:")
    (True, False)
    """
    return _REWRITE.search(introduction) is not None

"""Talk about the task: sentences in which a model discusses the request and does not continue it.

"The original sentence is incorrect", "I'm sorry to hear that", "Could you give more context?": such
sentences have a mood, but not that of a continuation. They are recognised by their topic (the text
as a text, its wording, the request) and by their speaker (an assistant who addresses its user).
"""

from __future__ import annotations

import re

from exleak.sentences.task_cues import task_cues

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
    # Phrases that refer to a text as a text.
    rf"\b(?:the|this|that|your|my|each|an?|both|these|those)\s+(?:\w+(?:'s)?\s+){{0,2}}?"
    rf"(?:original|given|provided|following|corrected|revised|rephrased|rewritten|completed?|"
    rf"incomplete|edited|improved|modified|updated|above|first|second|last)\s+(?:{_EDITED})s?\b",
    r"\b(?:this|your|the)\s+(?:sentences?|phrase|paragraph|clause|prompt)\s+"
    r"(?:is|isn't|are|aren't|was|were|has|have|does|doesn't|do|don't|didn't|seems?|appears?|"
    r"contains?|needs?|should|could|"
    r"can|starts?|ends?|implies|implied|suggests?|describes?|refers?|complete|reads?|makes?|"
    r"provided?|given|above)\b",
    r"\b(?:sentence|paragraph|clause|phrase|prompt)s?'s?\s+\w+",
    r"\b(?:of|to|in|for|with|complete|from|make|making) (?:the|this|your|that|each) "
    r"(?:sentence|paragraph|clause|phrase|wording)s?\b",
    r"\b(?:grammar (?:error|mistake|issue|check|rule|correction)s?|(?:correct|proper|your|the|its) "
    r"grammar|grammatical(?:ly)?|ungrammatical|punctuation|apostrophes?|adjectives?|adverbs?|"
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
    # An assistant that describes what it does.
    rf"\b(?:i|we)(?:'ve| have|'ll| will|'d| would| can| could|'m going to| might| may| just)?"
    rf"(?: also| then| now| like to| have)* (?:{_EDIT}|suggest|recommend|propose|advise)\b"
    rf"[^.!?]*(?:\b(?:{_EDITED}|words?|it|them|changes?|adjective|rephrasing|using|that you)\b"
    r"|[\"“])",
    r"\bi(?:'ve| have)? made (?:the|these|those|some|a few|several|any|minor|small)\b[^.!?]*"
    r"\b(?:changes?|corrections?|edits?|adjustments?|revisions?)\b",
    r"\b(?:i|we)(?:'m| am|'re| are)? (?:can't|cannot|can not|couldn't|unable|not able|won't|"
    r"don't|do not|am unable|can only)\b[^.!?]*\b(?:help(?! it\b| but\b| \w+ing)|assist|"
    r"provide|complete|fulfil\w*|"
    r"generate|write|create|answer|respond|discuss|continue|engage|comply|understand (?:the|what|"
    r"your)|have (?:enough|personal|feelings|access|the ability))\b",
    r"\bas an? (?:\w+ )?(?:ai|artificial intelligence|language model|chatbot|"
    r"(?:ai|virtual|digital|helpful) assistant)\b(?! engineer| developer| researcher| company)",
    r"\b(?:i'm|i am) (?:just |only |simply )?an? (?:\w+ ){0,2}(?:ai|artificial intelligence|"
    r"language model|(?:ai|virtual|digital|helpful) assistant|chatbot|computer program|bot)\b",
    r"\b(?:i'd|i would|i'll|i will|i'm|i am|i might|i can|i could) (?:be )?(?:more than )?"
    r"(?:happy|glad|pleased|delighted|able|here|ready) to (?:help|assist)\b",
    r"\b(?:how|what) (?:can|may|could|would|do) (?:i|you)\b[^.!?]*\b(?:help|assist|like me|do for "
    r"you|today)\b[^.!]*\?",
    r"\byour (?:sentence|prompt|request|question|message|statement|query|input|essay|paragraph|"
    r"response|completion|writing|text|help was needed|submission|story (?:is|was|has|seems))\b",
    r"\bthank(?:s| you)(?: so much| very much)? for (?:sharing|your|asking|providing|letting|"
    r"the (?:information|prompt|question|sentence|clarification)|reaching|bringing)\b",
    r"^(?:i )?(?:apologi[sz]e (?:for|if|but)\b|my apologies(?:[,.!]| for| if| but))",
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
_PRAISE = (
    r"amazing|awesome|awful|beautiful|brilliant|clever|cool|correct|excellent|exciting|fantastic|"
    r"fascinating|frustrating|fun|funny|good|great|heartbreaking|hilarious|horrible|impressive|"
    r"incorrect|incredible|interesting|kind|lovely|nice|not (?:correct|right|true|possible)|okay|"
    r"perfect|right|sad|sweet|terrible|terrific|thoughtful|tough|tragic|true|unfortunate|"
    r"upsetting|vivid|"
    r"wonderful|wrong"
)
_WRITING = (
    rf"{_EDITED}|story|job|work|start|beginning|opening|idea|point|try|attempt|choice|description|"
    r"writing|summary|example|way|one|metaphor|imagery|line"
)
#: What an assistant says to its user. In a story, a character says it, next to a verb of speech.
_ADDRESSES = (
    rf"^(?:that |it |this )?(?:sounds?|seems?) (?:(?:so|very|really|like an?) "
    rf")*(?:{_PRAISE})[^\w\s]*$",
    r"^i (?:can |completely |totally |fully |certainly )*understand (?:that |how |your|you)",
    r"^don't worry[,.!]",
    r"^(?:would|is) it (?:be )?(?:okay|ok|alright|fine|possible) (?:if|for|to)\b[^!]*\?",
    r"^(?:that |it |this )?(?:sounds like an? \w+-\w+\b|makes sense\W*$)|^(?:no|yes),? not "
    r"(?:quite|"
    r"really|exactly)\W*$|^to make (?:it|this) (?:more|less|better)\b",
    rf"^(?:wow|{_PRAISE})!+$|^an? (?:more |better )?(?:fitting|accurate|natural|concise|suitable) "
    r"(?:description|version|sentence|phrase|phrasing|way|word)\b",
    r"^i think you mean(?:t)?\b|^i hope (?:this|that|it) clarif",
    r"\bmakes (?:perfect |more |no |little )?sense[,.]? (?:as|because|since)\b|\bis indeed "
    r"(?:in)?correct\b",
    r"^have you (?:tried|checked|considered|thought)\b[^!]*\?",
    r"^as (?:requested|per your request|you (?:asked|requested|wished))\b",
    r"^(?:sentence|task|text|story) (?:completed?|finished)\W*$",
    # Short reactions and answers to what the user wrote.
    rf"^(?:wow,? |oh,? |ah,? |well,? |yes,? |no,? )*(?:that|this|what|how)(?:'s| is| was| sounds?|"
    rf" seems| must (?:be|have been))?,? (?:(?:such|so|too|very|really|truly|quite|just|absolutely|"
    rf"pretty|an?|the|incredibly|actually) )*(?:{_PRAISE})(?: (?:{_WRITING}|news|question|thing))?"
    r"(?: (?:of you|for you|to hear(?: that)?|indeed))?[^\w\s]*(?:$|[.!;] | [-–—] )",
    rf"^(?:it's|it is) (?:(?:such|so|too|very|really) )*(?:{_PRAISE})[^\w\s]*$",
    rf"^(?:an? |very |really |what an? )*(?:{_PRAISE}) (?:{_WRITING}|question)\b(?=\W*$| [-–—] "
    rf"|! )",
    r"^that's an? (?:\w+ )?(?:example|summary|description|way|sentence|version|interpretation|"
    r"question|observation|statement|idea|point|start|variation|paraphrase)\b",
    r"^(?:an? )?(?:very |really |quite )?(?:fitting|accurate|apt) (?:description|summary)\b",
    r"^(?:the|this|your|that) (?:message|answer|reply|response|text) (?:is|was|seems) (?:too|not|"
    r"very|rather|quite|in(?:complete|correct)|unclear)\b",
    r"^the answer (?:to (?:this|that|your|the) question|here|would|could|should|might|may) ",
    r"^(?:that|this)(?:'s| is| was) (?:exactly |actually |precisely |just |not )+what i"
    r"(?:'ve| have| can| could| would| meant| mean| wrote)\b",
    r"^i'm not (?:really |quite |entirely |exactly |so )+sure (?:what|how|which|if|whether) you\b",
    r"^(?:i'd|i would) (?:also )?like to (?:add|point out|note|mention|clarify)\b",
    r"^the (?:scene|situation|image|event|scenario)s? (?:described|depicted|in question)\b",
    r"^(?:it |that |this )?sounds like (?:you|your|an? (?:\w+[ -]){0,4}(?:joke|story|sentence|plan|"
    r"idea|time|day|experience|situation|adventure|place|challenge|question)\b)",
    r"^(?:yes|no|nope|yep|yeah|correct|exactly|right)\b[,.!]?(?: (?:no|yes|not|actually))*,? "
    r"(?:it|that|this|they|he|she|we|you|there|i)(?:'s|'re|'m| is| was| are| were| does| do| "
    r"did| has|"
    r" have| can| will| would| could| should)?(?:n't| not)?(?: (?:more|not|only|correct|possible|"
    r"accurate|appropriate|true|right|wrong|quite|exactly|really|do|does|is)\b[^\"]*)?\W*$",
    r"^(?:no|yes), it is(?: not|n't)? (?:possible|necessary|correct|appropriate|clear)\b",
    r"^(?:that|this|it) (?:doesn't|does not|didn't|did not|isn't|is not|won't) (?:match|make|seem|"
    r"sound|fit|work|appear|look|contain|apply|follow)\b",
    r"^(?:oh|oh no|wow)\b[^.]{0,24}\b(?:sounds?|that's|sorry (?:about|to hear|for your))\b",
    r"^(?:that|it|this) must (?:be|have been)\b[^.]*\b(?:for )?you\b",
    r"^(?:it's|that's|i'm|i am) (?:so |very |really )?(?:great|good|nice|wonderful|glad|happy|"
    r"thrilled|excited|relieved|sad|sorry) (?:that |to (?:hear|know|learn|see) |for )?"
    r"(?:(?:that|about|of) )?you(?:r|'re|'ve)?\b",
    r"^(?:(?:i'm|i am|that's|it's) )?(?:so |very |really )?(?:glad|happy|sorry|great|good|sad|"
    r"pleased|thrilled) to hear (?:that|this|it|about|of|you|"
    r"from)\b",
    r"\bglad i (?:can|could)\b",
    r"^(?:i )?hope (?:this|that|these|it) helps?\b|^i hope (?:you|your|this|everything)\b",
    r"^you (?:seem|sound|appear|must be|might want to (?:\w+ )?(?:re\w+|"
    r"add|change|use|consider)|(?:can|could|should|might|may)(?: also| want to)? (?:use|say|write|"
    r"change|add|try|replace|remove|consider|complete)\b[^.]*(?:[\"“]|'\w+'|\b(?:sentence|"
    r"word|phrase|"
    r"comma|wording|verb|tense|adjective|story|version|details?|this)\b)|want me|asked|mentioned|"
    r"provided|wrote|didn't|did not|haven't|need to (?:provide|specify|give|add))\b",
    r"\bif you(?:'d| would)? (?:like|want|need|have (?:any|more)|prefer|could|can provide|provide|"
    r"give)\b[^.]*\b(?:i|me|let|please|feel|help|talk|suggest|ask)\b",
    r"^(?:so,? |ok(?:ay)?,? )?(?:do|would|did|could|can|are|have|will) you (?:want (?:me|to|"
    r"some|a)|like me|prefer|mean|"
    r"need|have (?:any|a specific)|please|kindly|provide|clarify|tell me (?:more|what you)|"
    r"share|specify|give me|"
    r"elaborate|explain|rephrase|complete|looking|asking|referring|trying)\b[^!]*\?",
    r"\b(?:could|can|would) you (?:please |kindly )?(?:provide|clarify|share|specify|elaborate|"
    r"rephrase|give me (?:more|a bit))\b",
    r"^(?:which|what|who|how|when|where) (?:of these|would you|(?:do|did) you (?:want|like|"
    r"mean|need|prefer|think|"
    r"feel)|are you (?:asking|looking|trying|referring|writing)|is your|happened next|"
    r"kind of \w+ (?:do|would|are) you)\b[^!]*\?",
    r"^is (?:this|that|it) (?:what|the|a|your)\b[^.!]*\?",
    r"^(?:please,? )?(?:tell|give|show|send) me (?:more|a bit|the rest|your|some (?:more|"
    r"context))\b",
    r"\b(?:let me know (?:if|what|how|which|when you|whether)|feel free to (?:change|ask|use|"
    r"modify|"
    r"adjust|add|share|edit|let|reach|contact|make|provide|replace)|please (?:provide|clarify|"
    r"specify|"
    r"rephrase|note|try again|complete|confirm|elaborate|feel free|let me know|share (?:more|"
    r"your|the|any)|give me (?:more|some|the|a)|tell me (?:more|what|which|how|if))|is there "
    r"anything (?:else|specific))\b(?! salt| bread)",
    r"\bwould you like me\b|\bwould you like (?:to|a|some|help)\b[^.!]*"
    r"\b(?:sentence|version|continue|more|examples?|suggestions?|me|add|know|help)\b[^.!]*\?",
    r"^(?:i'm|i am|we're|so|very|really|oh,? i'm)? ?(?:so |very |truly |really |deeply )?sorry"
    r"(?:,? (?:but|i|we|if|you)\b| to (?:hear|interrupt|inform)| for (?:your|(?:the|any) "
    r"(?:confusion|misunderstanding|mistake|inconvenience|error))| about (?:that|your)| that "
    r"(?:i|you))",
    r"^your (?:answer|reply|task) (?:should|must|needs?|is|was|has)\b",
    r"^(?:this|that) is (?:just |only |but )?(?:one|another|an) (?:\w+ )?example of\b",
    r"\bi'm not (?:sure|certain|clear) (?:what|how|which|if|whether|i)\b[^.]*\b(?:you|understand|"
    r"mean|sentence|context|question)\b",
    r"\bi'm here (?:for you|to (?:help|assist|listen|support|answer))",
)
#: Sentences about a text, its words, or the way to an answer; the speaker does not matter.
_ANALYSES = (
    r"^\W*(?:noun|verb|adverb|adjective|pronoun|subject|object|preposition|conjunction)s?\W*$",
    r"\b(?:the|this) (?:word|term|verb|noun|phrase|adjective|expression|subject|tone|mood|blank)s? "
    r"(?:[\"“'‘][^\"”]*[\"”'’]|of (?:the|this|your) (?:sentence|passage|text|story|paragraph)|here|"
    r"(?:is|are|can be) (?:missing|filled|completed|singular|plural))",
    r"\b(?:word|term|verb|noun|phrase|blank)s? (?:here |that fits |missing )?(?:is|are|should be|"
    r"could be|can be (?:filled|completed)[^.]*) ?:? ?(?:by |with )?[\"“'‘]",
    r"^the (?:correct|right|best|missing|final|most likely) (?:answer|word|option|choice|"
    r"completion|"
    r"ending)s? (?:is|are|would|could|might|may)\b",
    r"^there (?:is|are|could be|can be|might be) (?:an?|no|several|many|some|multiple|various|"
    r"different|countless|a few|a number of) (?:\w+ )?(?:errors?|mistakes?|ways? to (?:complete|"
    r"finish|continue|end|interpret|rewrite|phrase|say)|endings?|options?|possibilit\w+|"
    r"interpretations?|completions?)\b",
    r"^(?:this|it|that) (?:can|could|may|might) (?:also )?be (?:completed|finished|continued|"
    r"interpreted|rewritten|rephrased|read as|improved)\b",
    r"^(?:this|that|which|it) (?:implies that|conveys|expresses|emphasizes)\b",
    r"^(?:the|this|that|your|both|these) (?:two |first |second |last |previous )?(?:sentence|"
    r"statement|"
    r"phrase|text|passage|paragraph|clause|prompt)s? (?:is|are|was|were|has|have|does|do|seems?|"
    r"appears?|contains?|needs?|lacks?|means?|implies|imply|refers?|suggests?|describes?|conveys?|"
    r"doesn't|don't|didn't|isn't|aren't|"
    r"expresses|express|you|in question|provided|given|above|makes?)\b",
    r"^(?:step \d|translation|summary|analysis|interpretation|task|hint|tip|disclaimer|context|"
    r"example|question|reasoning|edit|version \d|option \w|rewritten|improved|edited)\s*:",
    r"^let(?:'s| us) (?:break (?:it|this|that) down|analy[sz]e|look at (?:the|this)|consider "
    r"(?:the|"
    r"this)|complete|rewrite|rephrase|add|try to|figure|think (?:about|step)|start (?:by|"
    r"with) (?:the|"
    r"identif|analy))\b|\blet's add\b[^.]*\b(?:sentence|paragraph)\b",
    r"\b(?:sentence|phrase|word|statement|term)s? [\"“'‘]",
    r"^(?:this|the|your) (?:task|exercise|instruction|request|prompt|assignment)s?\b(?! force)",
    r"^the user\b(?! manual| guide| name| account| interface)",
    r"^(?:first|okay|ok|so|hmm|alright|now),?(?: so)?,? (?:i|we|let me|let's) (?:need|have|should|"
    r"must|will|want)? ?(?:to )?(?:figure out|understand|identify|complete|analy[sz]e|think about|"
    r"determine|recall|consider)\b",
    r"\b(?:i|we)(?:'ll| will| need| have| must| should)(?: to| need to| have to)* (?:read|know|"
    r"understand|see|have|consider|look at|complete|analy[sz]e) (?:the|this|more|your|a|some)\b"
    r"[^.]*\b(?:text|sentence|context|information|details|words|paragraph|passage)\b",
    r"\bi (?:changed|kept|used|chose|replaced|rewrote|reworded|rearranged|adjusted|modified) the "
    r"(?:\w+ )?(?:ending|wording|tone|tense|verb|word|words|word order|structure|phrase|"
    r"sentence)\b",
    r"\b(?:previous|original|last|suggested|proposed) (?:edit|version|revision|draft|suggestion|"
    r"wording|phrasing)s?\b|\balternative (?:version|phrasing|wording)s?\b",
    r"\b(?:sentence|passage|text|paragraph) (?:coverage|structure|fragment|you (?:provided|gave|"
    r"wrote|shared)|provided)\b",
)
_ADDRESS = re.compile("|".join(f"(?:{pattern})" for pattern in _ADDRESSES), re.IGNORECASE)
#: Verbs of speech and thought, which show that a character in a story speaks.
_SPEECH = re.compile(
    r"\b(?:said|says|asked|asks|replied|whispered|shouted|cried|answered|exclaimed|muttered|told|"
    r"wrote|thought|laughed|called)\b",
    re.IGNORECASE,
)
_TALK = re.compile(
    "|".join(f"(?:{pattern})" for pattern in (*_PATTERNS, *_ANALYSES)), re.IGNORECASE
)
#: Words that show that a "sentence" is one passed by a court.
_COURT = re.compile(r"\b(?:prison|jail|death|life|judge|court|convict\w*|years?)\b", re.IGNORECASE)
_NOUN = re.compile(rf"\b(?:{_EDITED})\b")
_REWRITE = re.compile(
    r"\b(?:original|correct(?:ed|ing|ion)|revis(?:ed|ing|ion)|rephras\w+|rewrit\w+|reword\w+|"
    r"edit(?:ed|ing|s)?|improv\w+|grammar|grammatical\w*|punctuation|clarity|paraphras\w+|"
    r"translat\w+)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^[\s\"'“‘«*_`#>(\[-]+")
#: Interjections that may precede an address: "Ugh... I'm sorry to hear that".
_INTERJECTIONS = re.compile(
    r"^(?:(?:a+h+|a+w+|e+w+|h+m+|oh|ooh|oops|oof|ouch|phew|u+gh+|wow|yikes)(?: no| dear| my)?"
    r"(?:[,.!…]+\s*|\s+)){1,3}(?=\w)",
    re.IGNORECASE,
)


def talks_about_task(sentence: str, prompt: str = "") -> bool:
    """Whether a model's first sentence talks about the task instead of doing it.

    Args:
        sentence: The first sentence of an answer, in English.
        prompt: Control prompt and injected sentence: a paragraph that they mention does not refer
            to the task.

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
    if not _SPEECH.search(plain):
        texts = {plain, _INTERJECTIONS.sub("", plain)}
        if any(map(_ADDRESS.search, texts)) or task_cues(plain, prompt):
            return True
    return any(
        theirs.isdisjoint(_NOUN.findall(found.group().lower())) for found in _TALK.finditer(plain)
    )


def rewrites(introduction: str) -> bool:
    """Whether an introduction announces a rewritten prompt instead of its continuation.

    >>> rewrites("Here is the corrected sentence:"), rewrites("Here is the completed sentence:")
    (True, False)
    """
    return _REWRITE.search(introduction) is not None

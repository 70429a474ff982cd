"""Simple Hindi words, as they are typed into an English chat: ``sab band karo``, ``मदद``. Pure.

Whole words only are put into the English ones that are understood already (decision 30), so that
they lead to the same questions and views; a text without such a word stays as it was typed.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["in_english"]

_ENGLISH: Mapping[str, str] = {
    "stop": "band karo, band kar do, band kardo, band kar de, band kar, band kijiye, bandh karo, "
    "bandh kar do, bandh kardo, kaat do, kat do, kaato, बंद करो, बंद कर दो",
    "sell": "becho, bech do, bech de, bechdo, bechna hai, nikal do, बेचो, बेच दो, निकाल दो",
    "buy": "kharido, khareedo, kharid lo, khareed lo, le lo, खरीदो, खरीद लो, ले लो",
    "resume": "chalu karo, chaalu karo, chalu kar do, shuru karo, shuru kar do, चालू करो, शुरू करो",
    "mode": "ruko, ruk, rukja, ruk ja, rukiye, ruk jao, roko, rok do, रुको, रुक जाओ, रोको, रोक दो",
    "all": "sab, sabhi, sabko, sab ko, sab kuch, saare, saari, saara, sara, सब, सभी, सब कुछ, सारे",
    "half": "aadha, adha, aadhi, आधा, आधी",
    "help": "madad, sahayata, मदद, सहायता",
    "hello": "namaskar, namaskaar, pranam, नमस्ते, नमस्कार, प्रणाम",
    "profit": "munafa, fayda, faida, nuksan, nuksaan, kamai, kamaya, kitna hua, "
    "kitna bana, मुनाफा, मुनाफ़ा, फायदा, नुकसान, कमाई",
    "funds": "paisa, paise, rupaye, rupya, पैसा, पैसे, रुपये",
    "accounts": "khata, khate, खाता, खाते",
    "trades": "sauda, saude, सौदा, सौदे",
    "status": "kya chal raha, kya chal rha, kya ho raha, kya haal, haal, क्या चल रहा, हाल",
    "yes": "haan, haan ji, theek hai, thik hai, हाँ, हां, ठीक है",
    "yesterday": "kal, parso, pichhle hafte, pichle hafte, कल, परसों",
    "do not": "mat, मत",
    "no": "nahi, nahin, nahi ji, mat karo, नहीं, मत करो",
    "": "turant, ko, ka, ki, ke, mera, meri, mere, abhi, jaldi, karo, kar do, kardo, kijiye, hai, "
    "को, का, की, के, मेरा, मेरी, मेरे, अभी, जल्दी, करो, कर दो, है",
}
"""What is understood, and who says it in Hindi; under ``""`` is what only stands beside."""
_MEANT: Mapping[tuple[str, ...], str] = {
    tuple(phrase.split()): english
    for english, phrases in _ENGLISH.items()
    for phrase in phrases.split(", ")
}
_LONGEST = max(map(len, _MEANT))
_MARKS = "!.,?;।…"


def in_english(text: str) -> str:
    """Return a typed text with its Hindi words in English, and as it was where it has none."""
    words = [word.strip(_MARKS) for word in text.casefold().split()]
    found: list[str] = []
    is_hindi = False
    while words:
        size = next((n for n in range(_LONGEST, 0, -1) if tuple(words[:n]) in _MEANT), 0)
        if size:
            english = _MEANT[tuple(words[:size])]
            found += [english] if english else []
            is_hindi = True
            del words[:size]
        else:
            found.append(words.pop(0))
    return " ".join(found) if is_hindi else text

"""Makes alice.txt from the e-text of the Canterbury corpus.

    python data/texts/prepare.py alice29.txt > data/texts/alice.txt

alice29.txt has SHA-256
7467306ee0feed4971260f3c87421154a05be571d944e9cb021a5713700c38f0.
Every character of the result occurs in shakespeare.txt.
"""

import re
import sys

text = open(sys.argv[1], encoding="ascii").read().replace("\r", "")
text = text[text.index("CHAPTER I") : text.index("THE END")]
# rows of asterisks, emphasis, editor's brackets
text = re.sub(r"[*_\[\]]", "", text)
# one kind of quotation mark: the apostrophe
text = re.sub(r"[`\"]", "'", text)
# a parenthesis becomes a clause between commas, where no other mark stands
text = re.sub(r"([,.;:?!-]'?\s*)\(", r"\1", text)
text = re.sub(r"(\s*)\(", r",\1", text)
text = re.sub(r"([,.;:?!-]'?)\)", r"\1", text)
text = re.sub(r"\)(?=[,.;:?!-])", "", text)
text = text.replace(")", ",").replace(",,", ",")
# chapter titles, verses and paragraphs lose their indent; one space between
# words; at most one empty line
text = re.sub(r" *\n *", "\n", text)
text = re.sub(r"  +", " ", text)
text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
sys.stdout.write(text)

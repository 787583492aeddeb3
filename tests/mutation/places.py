"""Places in C sources where one small change makes a plausible fault.

places(text) gives (kind, begin, end, replacement) in the order of the text. No
change adds or removes a line, so that every __LINE__ stays what it was.
"""
import re

TOKEN = re.compile(
    r"""(?P<space>(?:\s|\\\n|/\*.*?\*/|//[^\n]*)+)
      | (?P<directive>(?<![^\n])[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<string>[LuU]?"(?:\\.|[^"\\])*")
      | (?P<char>'(?:\\.|[^'\\])+')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>->|\+\+|--|<<=|>>=|\.\.\.|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.X | re.S)
# What is said, and what is given back at the end: neither is a matter of these tests.
SILENT = re.compile(r"err_set|err_errno|err_prefix|log_(line|info|warn|error|set_name)|(static_|_Static_)?assert|"
                    r"f?printf|perror|\w*(free|fini|close|destroy|release|Free|Destroy|Delete)")
TYPES = set("struct enum union const static int char double float bool size_t ssize_t void unsigned long short FILE "
            "signed extern inline typedef goto return case default".split())
CONTROL = set("if for while switch return sizeof do else case".split())
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "<<=", ">>="}
SWAPS = {"<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<="), "==": ("!=",), "!=": ("==",)}
# How often a kind is taken; a fault is not likelier because its sign is frequent.
WEIGHTS = {"relation": 3, "logic": 2, "condition": 2, "arithmetic": 2, "constant": 3, "statement": 3, "arguments": 1,
           "bound": 1, "jump": 0.5, "return": 2}


class Token:
    def __init__(self, kind, text, begin):
        self.kind, self.text, self.begin, self.end = kind, text, begin, begin + len(text)


def tokens(text):
    found = [Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(text)]
    return [t for t in found if t.kind not in ("space", "directive")]


def matching(ts):
    """Index of the other bracket of every bracket."""
    pair, stack = {}, []
    for i, t in enumerate(ts):
        if t.text in ("(", "[", "{"):
            stack.append(i)
        elif t.text in (")", "]", "}") and stack:
            pair[i] = stack.pop()
            pair[pair[i]] = i
    return pair


def changed_number(text):
    """A neighbour of a constant, or None."""
    m = re.fullmatch(r"(\d+)([uUlL]*)", text)
    if m and (m[1] == "0" or m[1][0] != "0"):
        n = int(m[1])
        return [f"{n + 1}{m[2]}"] + ([f"{n - 1}{m[2]}"] if n > 0 else [])
    m = re.fullmatch(r"((?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)([fFlL]?)", text)
    if m:
        x = float(m[1])
        return [f"{x * 1.1 if x else 0.1!r}{m[2]}", f"{x * 0.9 if x else -0.1!r}{m[2]}"]
    return []


def places(text):
    ts = tokens(text)
    pair = matching(ts)
    out = []
    silent = set()  # tokens inside a call that only speaks or frees
    for i, t in enumerate(ts):
        if t.kind == "word" and SILENT.fullmatch(t.text) and i + 1 in pair and ts[i + 1].text == "(":
            silent.update(range(i, pair[i + 1] + 1))

    def blank(begin, end, put=""):
        return put + re.sub(r"[^\n]", "", text[begin:end])  # keeps the lines

    def between(a, b):
        return text[ts[a].begin : ts[b].end]

    depth = round_depth = 0
    start = True  # of a statement
    declaration = False
    for i, t in enumerate(ts):
        before, after = (ts[i - 1] if i else None), (ts[i + 1] if i + 1 < len(ts) else None)
        if start and round_depth == 0 and t.text not in ("{", "}", ";"):
            declaration = t.text in TYPES or (t.kind == "word" and t.text not in CONTROL and after and
                                              (after.kind == "word" or re.fullmatch(r"u?int\d+_t", t.text)))
            if depth and not declaration and i not in silent:
                statement(ts, pair, i, out, blank)
        at_start, start = start, False
        if t.text == "{":
            depth, start = depth + 1, True
        elif t.text == "}":
            depth, start = depth - 1, True
        elif t.text == "(":
            round_depth += 1
        elif t.text == ")":
            round_depth -= 1
            opener = ts[pair[i] - 1].text if i in pair and pair[i] else ""
            start = round_depth == 0 and opener in ("if", "for", "while", "switch")
        elif t.text == ";" and round_depth == 0:
            start = True
        elif t.text in ("else", "do") or (t.text == ":" and at_start):
            start = True
        if i in silent and t.text not in ("err_set", "err_errno", "err_prefix"):
            continue
        binary = before is not None and (before.kind in ("word", "number", "char") or before.text in (")", "]")) \
            and before.text not in CONTROL and not (before.kind == "word" and before.text in TYPES)
        if t.text in SWAPS and binary:
            out += [("relation", t.begin, t.end, s) for s in SWAPS[t.text]]
        elif t.text in ("&&", "||"):
            if t.text == "||" and before.text == "NULL" and ts[i - 2].text == "==" and out_of_memory(ts, i):
                continue
            out.append(("logic", t.begin, t.end, "||" if t.text == "&&" else "&&"))
        elif t.text in ("+", "-", "*", "/", "%") and binary and depth:
            sure = t.text != "*" or not declaration or round_depth or "=" in (x.text for x in ts[max(0, i - 12) : i])
            if sure:
                out.append(("arithmetic", t.begin, t.end, {"+": "-", "-": "+", "*": "/", "/": "*", "%": "/"}[t.text]))
        elif t.text in ("+=", "-=") and depth:
            out.append(("arithmetic", t.begin, t.end, "-=" if t.text == "+=" else "+="))
        elif t.kind == "number" and before.text not in ("case", "return") and not (before.text == "[" and declaration):
            out += [("constant", t.begin, t.end, s) for s in changed_number(t.text)]
        elif t.text in ("if", "while") and i + 1 in pair:
            a, b = ts[i + 1], ts[pair[i + 1]]
            out.append(("condition", a.begin, b.end, "(!" + text[a.begin : b.end] + ")"))
        elif t.text == "for" and i + 1 in pair:
            inner, level = [], 0
            for j in range(i + 2, pair[i + 1]):
                level += (ts[j].text in "([{") - (ts[j].text in ")]}")
                if ts[j].text == ";" and level == 0:
                    inner.append(j)
            if len(inner) == 2 and any(x.text in ("<", "<=") for x in ts[inner[0] : inner[1]]):
                at = ts[inner[1]].begin
                out += [("bound", at, at, " - 1"), ("bound", at, at, " + 1")]
        elif t.text in ("break", "continue"):
            out.append(("jump", t.begin, t.end, "continue" if t.text == "break" else "break"))
        elif t.text == "return" and after is not None and after.text != ";":
            j = i + 1
            while ts[j].text != ";":
                j = pair[j] + 1 if ts[j].text in "([{" and j in pair else j + 1
            value = between(i + 1, j - 1)
            other = {"0": "-1", "-1": "0", "true": "false", "false": "true", "1": "0"}.get(value, "0")
            if value != "NULL":
                out.append(("return", after.begin, ts[j - 1].end, blank(after.begin, ts[j - 1].end, other)))
        elif t.text == "(" and before is not None and before.kind == "word" and before.text not in CONTROL | TYPES \
                and i in pair and depth and i not in silent:
            arguments(ts, pair, i, out, text)
    return sorted(set(out))


def out_of_memory(ts, i):
    """Does another `== NULL` follow at once? Allocations are checked so; no test runs out of memory in just one."""
    words = [t.text for t in ts[i + 1 : i + 12]] + [""]
    return "==" in words and words[words.index("==") + 1] == "NULL" and not {"||", "&&", "("} & set(words[: words.index("==")])


def statement(ts, pair, i, out, blank):
    """The expression statement that begins at i, left out."""
    if ts[i].text in CONTROL | {"break", "continue", "else", "while"}:
        return
    j, assigns, calls = i, False, False
    while j < len(ts) and ts[j].text not in (";", "{", "}"):
        assigns |= ts[j].text in ASSIGN or ts[j].text in ("++", "--")
        if ts[j].text == ":" and j == i + 1:
            return  # a label
        if ts[j].text == "(" and ts[j - 1].kind == "word" and j > i:
            calls = True
        j = pair[j] + 1 if ts[j].text in ("(", "[") and j in pair else j + 1
    quiet = any(SILENT.fullmatch(x.text) for x in ts[i:j] if x.kind == "word")
    if j < len(ts) and ts[j].text == ";" and (assigns or calls) and not (quiet and not assigns):
        out.append(("statement", ts[i].begin, ts[j].begin, blank(ts[i].begin, ts[j].begin)))


def arguments(ts, pair, i, out, text):
    """Neighbouring plain arguments, exchanged; the compiler refuses other types."""
    parts, begin, j = [], i + 1, i + 1
    while j <= pair[i]:
        if ts[j].text == "," or j == pair[i]:
            parts.append((begin, j - 1))
            begin = j + 1
        j = pair[j] + 1 if ts[j].text in "([{" and j in pair else j + 1
    plain = [a <= b and ts[a].kind == "word" and all(x.kind == "word" or x.text in ("->", ".") for x in ts[a : b + 1])
             and not any(x.text in TYPES for x in ts[a : b + 1]) for a, b in parts]
    for k in range(len(parts) - 1):
        if plain[k] and plain[k + 1]:
            (a, b), (c, d) = parts[k], parts[k + 1]
            one, two = text[ts[a].begin : ts[b].end], text[ts[c].begin : ts[d].end]
            if one != two:
                out.append(("arguments", ts[a].begin, ts[d].end, two + text[ts[b].end : ts[c].begin] + one))

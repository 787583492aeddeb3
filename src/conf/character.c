/* Names are Unicode's, in lower case. */
#include "conf/character.h"

#include <stdbool.h>
#include <stdio.h>

static const struct character characters[] = {
    { 0x0001, 0x0008, "control character", "nothing" },
    { 0x000B, 0x000B, "vertical tab", "nothing" },
    { 0x000E, 0x001F, "control character", "nothing" },
    { 0x007F, 0x009F, "control character", "nothing" },
    { 0x00A0, 0x00A0, "no-break space", "a blank" },
    { 0x00AB, 0x00AB, "left-pointing double angle quotation mark", "\"" },
    { 0x00AD, 0x00AD, "soft hyphen", "nothing" },
    { 0x00B4, 0x00B4, "acute accent", "\"" },
    { 0x00BB, 0x00BB, "right-pointing double angle quotation mark", "\"" },
    { 0x034F, 0x034F, "combining grapheme joiner", "nothing" },
    { 0x061C, 0x061C, "direction mark", "nothing" },
    { 0x1680, 0x1680, "ogham space", "a blank" },
    { 0x180E, 0x180E, "vowel separator", "nothing" },
    { 0x2000, 0x200A, "space of another width", "a blank" },
    { 0x200B, 0x200B, "zero-width space", "nothing" },
    { 0x200C, 0x200C, "zero-width non-joiner", "nothing" },
    { 0x200D, 0x200D, "zero-width joiner", "nothing" },
    { 0x200E, 0x200F, "direction mark", "nothing" },
    { 0x2010, 0x2010, "hyphen", "-" },
    { 0x2011, 0x2011, "no-break hyphen", "-" },
    { 0x2012, 0x2012, "figure dash", "-" },
    { 0x2013, 0x2013, "en dash", "-" },
    { 0x2014, 0x2014, "em dash", "-" },
    { 0x2015, 0x2015, "horizontal bar", "-" },
    { 0x2018, 0x2018, "left single quotation mark", "\"" },
    { 0x2019, 0x2019, "right single quotation mark", "\"" },
    { 0x201A, 0x201B, "single quotation mark", "\"" },
    { 0x201C, 0x201C, "left double quotation mark", "\"" },
    { 0x201D, 0x201D, "right double quotation mark", "\"" },
    { 0x201E, 0x201F, "double quotation mark", "\"" },
    { 0x2028, 0x2028, "line separator", "a line break" },
    { 0x2029, 0x2029, "paragraph separator", "a line break" },
    { 0x202A, 0x202E, "direction mark", "nothing" },
    { 0x202F, 0x202F, "narrow no-break space", "a blank" },
    { 0x2032, 0x2032, "prime", "\"" },
    { 0x2033, 0x2033, "double prime", "\"" },
    { 0x205F, 0x205F, "mathematical space", "a blank" },
    { 0x2060, 0x2060, "word joiner", "nothing" },
    { 0x2061, 0x2064, "invisible operator", "nothing" },
    { 0x2066, 0x206F, "direction mark", "nothing" },
    { 0x2212, 0x2212, "minus sign", "-" },
    { 0x3000, 0x3000, "ideographic space", "a blank" },
    { 0xFE00, 0xFE0F, "variation selector", "nothing" },
    { 0xFEFF, 0xFEFF, "byte order mark", "nothing" },
    { 0xFF01, 0xFF5E, "fullwidth form", "the character of ordinary width" },
};

size_t character_decode(const char *text, size_t left, uint32_t *code)
{
    const unsigned char *p = (const unsigned char *)text;
    if (left == 0)
        return 0;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    *code = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3F);
    }
    bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xED && p[1] > 0x9F, beyond = p[0] == 0xF4 && p[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : n;
}

int character_not_utf8(const char *text, size_t bytes)
{
    int line = 1;
    uint32_t code;
    for (size_t i = 0, n; i < bytes; i += n) {
        n = character_decode(text + i, bytes - i, &code);
        if (n == 0)
            return line;
        line += text[i] == '\n';
    }
    return 0;
}

const struct character *character_find(uint32_t code)
{
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++)
        if (code >= characters[i].first && code <= characters[i].last)
            return &characters[i];
    return NULL;
}

void character_text(uint32_t code, char out[CHARACTER_TEXT])
{
    const struct character *c = character_find(code);
    if (c == NULL)
        snprintf(out, CHARACTER_TEXT, "character U+%04X", (unsigned)code);
    else
        snprintf(out, CHARACTER_TEXT, "%s (U+%04X)", c->name, (unsigned)code);
}

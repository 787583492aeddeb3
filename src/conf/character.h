/* Characters that look like others or like nothing: editors and web pages put them into configs. */
#ifndef DINF_CONF_CHARACTER_H
#define DINF_CONF_CHARACTER_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of the UTF-8 sequence at p and its code point, 0 if there is none (RFC 3629, section 4). */
size_t character_decode(const char *p, size_t left, uint32_t *code);

/* The first line of the text that is not UTF-8; 0: all is. */
int character_not_utf8(const char *text, size_t bytes);

/* "no-break space (U+00A0)", and what to write in its place; NULL for a character that can be seen for what it is. */
struct character {
    uint32_t first, last;
    const char *name, *instead;
};
const struct character *character_find(uint32_t code);

enum { CHARACTER_TEXT = 64 };
/* "no-break space (U+00A0)", or "character U+00E9". */
void character_text(uint32_t code, char out[CHARACTER_TEXT]);

#endif

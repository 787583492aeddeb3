/* Numbers as text that reads back to the same bits. */
#ifndef DINF_CONF_NUMBER_H
#define DINF_CONF_NUMBER_H

enum { NUMBER_TEXT = 32 };

/* The fewest significant digits that read back to the same double;
 * integers up to 2^53 without exponent; -0 as 0; not a number and the
 * infinities as "nan", "inf", "-inf". */
void number_print(double x, char out[NUMBER_TEXT]);

#endif

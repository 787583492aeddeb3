/* Members of JSON objects that may lack them. */
#ifndef DINF_CONF_JSON_H
#define DINF_CONF_JSON_H

#include <cjson/cJSON.h>

/* The member `key`, or `missing` where there is none of that type (or no object).
 * The text is borrowed. */
const char *json_text(const cJSON *object, const char *key, const char *missing);
double json_number(const cJSON *object, const char *key, double missing);

#endif

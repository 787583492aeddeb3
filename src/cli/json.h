/* JSON objects of --json: numbers that are not finite become null. */
#ifndef DINF_CLI_JSON_H
#define DINF_CLI_JSON_H

#include <cjson/cJSON.h>

void json_add_number(cJSON *object, const char *name, double value);

/* Prints the object as one line on standard output and frees it. */
void json_print(cJSON *object);

#endif

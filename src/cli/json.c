/* One JSON object on standard output, with numbers that survive a round trip. */
#include "cli/json.h"

#include <math.h>
#include <stdio.h>

void json_add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

void json_print(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

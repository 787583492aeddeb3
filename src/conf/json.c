/* Reading what another version, or nobody, may have written. */
#include "conf/json.h"

const char *json_text(const cJSON *object, const char *key, const char *missing)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(v) ? v->valuestring : missing;
}

double json_number(const cJSON *object, const char *key, double missing)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(v) ? v->valuedouble : missing;
}

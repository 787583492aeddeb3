/* A stream on the host: work is done when it is queued, or, while a capture goes
 * on, kept to be done at every replay. */
#ifndef DINF_TESTS_EMULATOR_CAPTURE_H
#define DINF_TESTS_EMULATOR_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct capture;

void capture_begin(void);
bool capture_going_on(void);
struct capture *capture_end(void);
void capture_replay(const struct capture *c);
void capture_free(struct capture *c);
/* run(copy of the `bytes` at `args`), now or at every replay */
void capture_queue(void (*run)(const void *args), const void *args, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif

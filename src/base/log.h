/* Log lines on standard error: "HH:MM:SS level text", one write(2) per line so
 * that lines of several processes do not mix. */
#ifndef DINF_BASE_LOG_H
#define DINF_BASE_LOG_H

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

/* Prefix of every line ("rank 2", say); copied, at most 31 characters. */
void log_set_name(const char *name);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif

/* What this binary is. */
#ifndef DINF_BASE_VERSION_H
#define DINF_BASE_VERSION_H

const char *dinf_version(void);  /* "0.1.0" */
const char *dinf_revision(void); /* abbreviated git commit, "-dirty" if changed; "unknown" outside git */

#endif

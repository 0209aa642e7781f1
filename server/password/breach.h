/*
 * Asks a range API whether a password is known from a breach (https://haveibeenpwned.com/API/v3#PwnedPasswords): it is
 * told the first 5 hexadecimal digits of the password's SHA-1 and answers with the rest of all that begin so,
 * "SUFFIX:COUNT" a line, of which a count of 0 is padding.
 *
 * Any thread; a connection of its own for each question, so that nothing is shared.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_BREACH_H
#define TOKENFIRST_SERVER_PASSWORD_BREACH_H

#include <stdint.h>

enum breach_answer { BREACH_CLEAN, BREACH_KNOWN, BREACH_FAILED, BREACH_ANSWERS };

/*
 * Blocks for at most `timeout_ms`. BREACH_FAILED: no answer in time, or none that is one: 200 and at most
 * LIMIT_BREACH_REPLY bytes of nothing but such lines.
 */
enum breach_answer breach_ask(const char *url, int64_t timeout_ms, const char *normal);

#endif

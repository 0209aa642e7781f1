/*
 * A Cookie header (RFC 6265 4.2.1). Pure; any thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_COOKIE_H
#define TOKENFIRST_SERVER_HTTP_COOKIE_H

/*
 * The value of a cookie, copied; free() it. NULL: absent, there twice, not a run of cookie-octets, or no memory. What
 * other cookies look like does not matter: other programs may have set them.
 */
char *cookie_find(const char *header, const char *name);

#endif

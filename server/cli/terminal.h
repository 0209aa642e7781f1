/*
 * Text on its way to a terminal, or into a table's line, that others have had a say in: user agents, names, reasons.
 */
#ifndef TOKENFIRST_SERVER_CLI_TERMINAL_H
#define TOKENFIRST_SERVER_CLI_TERMINAL_H

#include <stdio.h>

/*
 * Prints it with what could change how the rest is shown written out: control characters (ECMA-48: C0, DEL, C1) and
 * bytes that are no UTF-8 as \xNN, line and paragraph separators and those that turn the direction of text (Unicode UAX
 * #9, 2) as \u{NNNN}.
 */
void terminal_print(FILE *out, const char *text);

#endif

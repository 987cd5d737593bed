// What may be given to the SSM documents: one text for everybody who checks it, each in a language of its own.

/*
 * SendCommand checks a value, then the agent (Go's regexp, which is RE2), then the script (bash, POSIX ERE); the
 * configuration (JavaScript) comes before all of them. So nothing but anchors, classes, groups and counts, which mean
 * the same in all four. Go counts what is repeated within what is repeated and refuses more than 1,000 ("invalid repeat
 * count"): the agent then ends every command as `Failed` without a word.
 */

/** No `-` first, which would make an option of it, and nothing that systemctl would take as a pattern of names. */
export const UNIT_NAME = '^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,127}$';

/**
 * Absolute, nothing that a shell looks at, and no part begins with a dot, so that no path leads back up. 16 parts of 62
 * make 992.
 */
export const ABSOLUTE_PATH = '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$';

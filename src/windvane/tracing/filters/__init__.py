"""The query bar's language: one text for spans, logs and access logs.

    service:(reviews OR ratings) http.status_code>=500 -response_flags:"-" duration>100ms

How to use it, for any table:

1. `parse(text)` gives an `Expression` (`windvane.tracing.filters.ast`); a mistake raises `FilterError`,
   whose `position` is the character (from 1) where it is. `show(expression)` is its text again.
2. A `FieldMap` (`windvane.tracing.filters.fields`) says what names mean in a table: which are columns and
   of what kind, where attributes live in which scope, which column has search tokens, which texts free
   words are looked for in, and names with rules of their own. That of spans: `windvane.tracing.filters.spans`.
3. `condition(expression, fields, where)` (`windvane.tracing.filters.compile`) is a SQL condition, never
   NULL, whose values are bound to `where`, a `Conditions` (`windvane.tracing.filters.sql`).

Grammar (keywords in capitals only; adjacent terms are AND):

    or     := and ("OR" and)*                 also ||
    and    := not (["AND"] not)*              also &&
    not    := ("NOT" | "-" | "!") not | "(" or ")" | term
    term   := key op value | word | "a phrase" | /regex/
    op     := ":" "=" "!=" ">" ">=" "<" "<=" "~" "!~"
    value  := word | "text" | "*" | "[" low "TO" high "]" | "/regex/" | "(" values with AND, OR, NOT ")"

A key is a column's name, an attribute's, or either behind a scope (`resource.`, `span.`, `scope.`,
`event.`, `link.`, as the table has them); with odd characters it is quoted, also behind its scope:
`resource."a b"`. `{` and `}` leave a range's end out; `*` as an end leaves it open. `*` and `?` in an
unquoted value stand for any characters and for one; a backslash takes a character's meaning away.
`key:*` asks whether there is such an attribute. Regexes are RE2's and must match the whole value.
Numbers are compared as numbers (`500`, `500.0` and `5e2` are equal where the attribute is a number),
with units `k M G T Ki Mi Gi Ti` and `B` for sizes, `ns us ms s m h` for durations; what is no number is
compared as text. Free words are found anywhere in a record's texts, whatever their case.
"""

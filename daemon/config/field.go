// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field parses the value of a key into a field of a Config, and prints that field
// as TOML.
type field struct {
	accepts string        // type and bounds, for the manual
	set     func(value)   // rejects an invalid value and leaves the field as it is
	print   func() string // prints what set accepts
}

// scalar is a field of one value.
func scalar[T any](p *T, accepts string, read func(any) (T, error), print func(T) string) field {
	return field{
		accepts: accepts,
		set: func(v value) {
			x, err := read(v.v)
			if err != nil {
				v.reject("%v", err)
				return
			}
			*p = x
		},
		print: func() string { return print(*p) },
	}
}

// finish returns the value of a list from its valid entries, of which xs[i] was parsed
// from at[i]. It may reject the list or entries.
type finish[T any] func(list value, at []value, xs []T) []T

// list is a field of several values, each rejected with its own line.
func list[T any](p *[]T, accepts string, read func(any) (T, error), print func(T) string, end finish[T]) field {
	return field{
		accepts: accepts,
		set: func(v value) {
			entries, ok := v.entries()
			if !ok && isScalar(v.v) {
				v.reject("%s is not a list (write [%[1]s])", literal(v.v))
				return
			}
			if !ok {
				v.reject("%s is not a list", literal(v.v))
				return
			}
			var at []value
			xs := []T{}
			for _, e := range entries {
				x, err := read(e.v)
				if err != nil {
					e.reject("%v", err)
					continue
				}
				at, xs = append(at, e), append(xs, x)
			}
			*p = end(v, at, xs)
		},
		print: func() string {
			words := make([]string, len(*p))
			for i, x := range *p {
				words[i] = print(x)
			}
			return "[" + strings.Join(words, ", ") + "]"
		},
	}
}

// oneOrMore is a list that may also be written as one value, and as "" if it is
// empty.
func oneOrMore[T any](p *[]T, accepts string, read func(any) (T, error), print func(T) string, end finish[T]) field {
	several := list(p, accepts, read, print, end)
	return field{
		accepts: accepts,
		set: func(v value) {
			if !isScalar(v.v) {
				several.set(v)
				return
			}
			if v.v == "" {
				*p = nil
				return
			}
			x, err := read(v.v)
			if err != nil {
				v.reject("%v", err)
				return
			}
			*p = []T{x}
		},
		print: func() string {
			switch len(*p) {
			case 0:
				return `""`
			case 1:
				return print((*p)[0])
			}
			return several.print()
		},
	}
}

// distinct is a finish that rejects an entry with the same meaning as an earlier
// one.
func distinct[T comparable](_ value, at []value, xs []T) []T {
	for i, x := range xs {
		if slices.Contains(xs[:i], x) {
			at[i].reject("%s is already in the list", literal(at[i].v))
		}
	}
	return xs
}

// text is a field of a string.
func text(p *string, accepts string, parse func(string) (string, error)) field {
	return scalar(p, accepts, fromString(parse), quote)
}

// fromString returns a read function that accepts only strings.
func fromString[T any](parse func(string) (T, error)) func(any) (T, error) {
	return func(v any) (T, error) {
		s, ok := v.(string)
		if !ok {
			var none T
			if isScalar(v) {
				return none, fmt.Errorf("%s is not a string (write %q)", literal(v), literal(v))
			}
			return none, fmt.Errorf("%s is not a string", literal(v))
		}
		return parse(s)
	}
}

// orEmpty is parse, and accepts "".
func orEmpty(parse func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
}

// choice is a field with one of some words.
func choice[T ~string](p *T, words ...T) field {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	parse := func(s string) (T, error) { return T(s), checkChoice(s, all) }
	return scalar(p, "one of "+strings.Join(all, ", "), fromString(parse), quote)
}

// checkChoice rejects s if it is not one of words.
func checkChoice(s string, words []string) error {
	if slices.Contains(words, s) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s%s", s, strings.Join(words, ", "), didYouMean(s, words))
}

// level is a field with one of slog's four levels, by name.
func level(p *slog.Level) field {
	words := []string{"debug", "info", "warn", "error"}
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	parse := func(s string) (slog.Level, error) {
		if err := checkChoice(s, words); err != nil {
			return 0, err
		}
		return levels[slices.Index(words, s)], nil
	}
	print := func(l slog.Level) string { return quote(strings.ToLower(l.String())) }
	return scalar(p, "one of "+strings.Join(words, ", "), fromString(parse), print)
}

func boolean(p *bool) field {
	read := func(v any) (bool, error) {
		b, ok := v.(bool)
		if !ok {
			return false, fmt.Errorf("%s is not a boolean (write true or false)", literal(v))
		}
		return b, nil
	}
	return scalar(p, "true or false", read, strconv.FormatBool)
}

// integer is a field with a whole number from least to most, both included.
func integer(p *int, least, most int64) field {
	read := func(v any) (int, error) { return readInteger(v, least, most) }
	return scalar(p, fmt.Sprintf("integer, %d to %d", least, most), read, strconv.Itoa)
}

func readInteger(v any, least, most int64) (int, error) {
	n, ok := v.(int64)
	switch {
	case !ok && isInteger(v):
		return 0, fmt.Errorf("%s is not an integer (write %s)", literal(v), v)
	case !ok:
		return 0, fmt.Errorf("%s is not an integer", literal(v))
	case n < least || n > most:
		return 0, fmt.Errorf("%d is not between %d and %d", n, least, most)
	}
	return int(n), nil
}

// status is a field with the status of a response that has a body and needs no further
// headers (RFC 9110 section 15): a redirect requires Location.
func status(p *int) field {
	read := func(v any) (int, error) {
		n, err := readInteger(v, 200, 599)
		if err == nil && (n == 204 || n == 205 || n/100 == 3) {
			err = fmt.Errorf("%d is a redirect, or the status of a response without a body", n)
		}
		return n, err
	}
	return scalar(p, "integer, 200 to 599, except 204, 205 and 3xx", read, strconv.Itoa)
}

// isInteger reports whether v is an integer in quotes.
func isInteger(v any) bool {
	s, _ := v.(string)
	_, err := strconv.Atoi(s)
	return err == nil
}

// duration is a field with a whole number of milliseconds from least to most, both
// included, in the form of time.ParseDuration.
func duration(p *time.Duration, least, most time.Duration) field {
	read := func(v any) (time.Duration, error) {
		d, err := parseDuration(v)
		switch {
		case err != nil:
			return 0, err
		case d < least || d > most:
			return 0, fmt.Errorf("%q is not between %s and %s", v, FormatDuration(least), FormatDuration(most))
		case d%time.Millisecond != 0:
			return 0, fmt.Errorf("%q is not a whole number of milliseconds", v)
		}
		return d, nil
	}
	accepts := fmt.Sprintf("duration, %s to %s", FormatDuration(least), FormatDuration(most))
	return scalar(p, accepts, read, func(d time.Duration) string { return quote(FormatDuration(d)) })
}

// parseDuration parses a string with a unit. It rejects "0", which package time
// accepts.
func parseDuration(v any) (time.Duration, error) {
	s, isString := v.(string)
	d, err := time.ParseDuration(s)
	if isString && err == nil && s != "0" {
		return d, nil
	}
	bare := strings.Trim(literal(v), `"`)
	if _, err := strconv.ParseUint(bare, 10, 32); err == nil {
		return 0, fmt.Errorf(`%s is not a duration (write "%ss")`, literal(v), bare)
	}
	return 0, errors.New(literal(v) + ` is not a duration (write it like "500ms", "5s", "10m" or "1h")`)
}

// FormatDuration prints a duration as people write it: "1h", not "1h0m0s".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote prints a string as TOML. Valid values need no escapes that TOML does not
// have.
func quote[T ~string](s T) string { return strconv.Quote(string(s)) }

func quoteStringer[T fmt.Stringer](x T) string { return quote(x.String()) }

// literal prints a value as in the file, or its kind if it is long.
func literal(v any) string {
	switch x := v.(type) {
	case string:
		return strconv.Quote(x)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	default:
		return fmt.Sprint(x)
	}
}

// isScalar reports whether literal prints v in full.
func isScalar(v any) bool {
	switch v.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
}

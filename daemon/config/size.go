// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// The units of a Size, which are powers of 1024.
const (
	KB Size = 1 << 10
	MB Size = 1 << 20
	GB Size = 1 << 30
)

// String prints a Size as people write it, with the largest unit that fits.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s/KB), 10) + "KB"
}

type sizeUnit struct {
	name string
	size Size
}

func sizeUnits() []sizeUnit { return []sizeUnit{{"GB", GB}, {"MB", MB}, {"KB", KB}} }

// size is a field with a whole number of kilobytes from least to most, both included.
func size(p *Size, least, most Size) field {
	parse := func(text string) (Size, error) {
		s, ok := parseSize(text)
		switch {
		case !ok:
			return 0, fmt.Errorf(`%q is not a size (write it like "512KB", "64MB" or "1GB")`, text)
		case s < least || s > most:
			return 0, fmt.Errorf("%q is not between %s and %s", text, least, most)
		}
		return s, nil
	}
	return scalar(p, fmt.Sprintf("size, %s to %s", least, most), fromString(parse), func(s Size) string { return quote(s.String()) })
}

func parseSize(text string) (Size, bool) {
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		return Size(n) * u.size, err == nil && int64(n) <= math.MaxInt64/int64(u.size)
	}
	return 0, false
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// line is one JSON object with the keys in this order.
type line []field

// field is a key and its value; the names are exported for encoding/json.
type field struct {
	Key   string
	Value any
}

func (l line) String() string {
	fields := make([]string, len(l))
	for i, f := range l {
		value, err := json.Marshal(f.Value)
		if err != nil {
			panic(err) // numbers and texts
		}
		fields[i] = fmt.Sprintf("%q:%s", f.Key, value)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// figures returns p50, p99, the maximum and the number of times, with a prefix before
// their keys.
func figures(prefix string, times []time.Duration) line {
	sorted := slices.Sorted(slices.Values(times))
	return line{
		{prefix + "p50_ms", ms(percentile(sorted, 50))},
		{prefix + "p99_ms", ms(percentile(sorted, 99))},
		{prefix + "max_ms", ms(percentile(sorted, 100))},
		{prefix + "n", len(sorted)},
	}
}

// percentile returns the nearest rank; zero without times.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// ms is d in milliseconds, to two digits.
func ms(d time.Duration) float64 { return round(d.Seconds() * 1000) }

func round(x float64) float64 { return math.Round(x*100) / 100 }

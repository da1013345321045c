// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// line is one JSON object with the keys in this order.
type line []field

type field struct {
	key   string
	value any
}

func (l line) String() string {
	fields := make([]string, len(l))
	for i, f := range l {
		value, err := json.Marshal(f.value)
		if err != nil {
			panic(err) // numbers and texts
		}
		fields[i] = fmt.Sprintf("%q:%s", f.key, value)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// readLine reads what String wrote.
func readLine(text []byte) (line, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("read %q: %w", text, err)
	}
	var l line
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var f field
		f.key, _ = key.(string) // a key always is
		if err := dec.Decode(&f.value); err != nil {
			return nil, err
		}
		l = append(l, f)
	}
	return l, nil
}

// figures are p50, p99, the maximum and the number of times, with a prefix before
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

// percentile is the nearest rank; zero without times.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// ms is d in milliseconds, to two digits.
func ms(d time.Duration) float64 { return round(d.Seconds() * 1000) }

func round(x float64) float64 { return math.Round(x*100) / 100 }

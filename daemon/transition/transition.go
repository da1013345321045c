// SPDX-License-Identifier: Apache-2.0

// Package transition detects that a condition begins or ends, so that each is logged
// once and not in every pass. It does not log.
package transition

import "slices"

// Condition is one thing that may be wrong. The zero Condition is not. It may not
// be used concurrently.
type Condition struct{ reason string }

// Set records the present reason, "" if nothing is wrong. It returns whether the
// condition began, which it also does with another reason, or ended.
func (c *Condition) Set(reason string) (began, ended bool) {
	before := c.reason
	c.reason = reason
	return reason != "" && reason != before, reason == "" && before != ""
}

// Reason is the last that was Set; "" if nothing is wrong.
func (c *Condition) Reason() string { return c.reason }

// Conditions are things that may be wrong at the same time, such as the Problems
// of a cluster. The zero value has none. They may not be used concurrently.
type Conditions[T comparable] struct {
	present []T // in the order of Set
	index   map[T]bool
}

// Set records what is wrong at present. It returns what began and what ended, in
// the order in which they were Set. It keeps present.
func (c *Conditions[T]) Set(present []T) (began, ended []T) {
	if slices.Equal(present, c.present) {
		return nil, nil
	}
	index := make(map[T]bool, len(present))
	for _, p := range present {
		if !c.index[p] && !index[p] {
			began = append(began, p)
		}
		index[p] = true
	}
	for _, p := range c.present {
		if !index[p] {
			ended = append(ended, p)
		}
	}
	c.present, c.index = present, index
	return began, ended
}

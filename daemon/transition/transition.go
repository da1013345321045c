// SPDX-License-Identifier: Apache-2.0

// Package transition detects when a condition begins or ends, so that each is logged
// once and not in every pass. It does not log.
package transition

import "slices"

// Condition is one fault that is present or not. In the zero Condition, it is not. It
// may not be used concurrently.
type Condition struct{ reason string }

// Set sets the reason of the fault, "" if it is not present. It returns whether the
// fault began or ended. A fault with another reason begins again.
func (c *Condition) Set(reason string) (began, ended bool) {
	before := c.reason
	c.reason = reason
	return reason != "" && reason != before, reason == "" && before != ""
}

// Reason returns the reason that was Set last.
func (c *Condition) Reason() string { return c.reason }

// Conditions are faults that may be present at the same time, such as the Problems of
// a cluster. In the zero value, none is. They may not be used concurrently.
type Conditions[T comparable] struct {
	present []T // in the order of Set
	index   map[T]bool
}

// Set sets the faults that are present. It returns those that began and those that
// ended, in the order in which they were Set. It keeps the slice.
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

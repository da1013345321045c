// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/haproxy"
)

// Counters counts what a Reconciler has done since New.
type Counters struct {
	Applies       [Methods][Outcomes]uint64
	Reloads       [haproxy.ReloadKinds]uint64 // by haproxy.Reasons.Kind
	DriftFound    uint64
	DriftRepaired uint64
	LastApply     time.Time // that changed something and succeeded; zero for none
	Spent         Spent
}

// Method is how a change is applied.
type Method int

// The methods.
const (
	AtRuntime Method = iota
	ByReload

	Methods = iota // how many there are
)

// String is the method as the label of a metric.
func (m Method) String() string { return [Methods]string{"runtime", "reload"}[m] }

// Outcome is how a change ended.
type Outcome int

// The outcomes.
const (
	OK     Outcome = iota
	Failed         // HAProxy rejected the change, or a part of it

	Outcomes = iota // how many there are
)

// String is the outcome as the label of a metric.
func (o Outcome) String() string { return [Outcomes]string{"ok", "failed"}[o] }

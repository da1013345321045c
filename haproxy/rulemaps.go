// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"slices"
	"strings"
)

// The names of the maps that only a HAProxy with Settings.Rules uses, in addition to
// those of ConditionsMap.
const (
	// RulesMap leads the ID of a rule to what it does. A rule is the content of a Route
	// without its place; its ID is a hash of the content, so that it never changes.
	RulesMap = "rules"
	// ListenersMap leads the address and port that a client connected to, to the text
	// before the host in the keys of the routes maps.
	ListenersMap = "listeners"
	// ExactRoutesMap leads "host/path" to a value of a routes map.
	ExactRoutesMap = "routes-exact"
	// ExactTLSRoutesMap is ExactRoutesMap of the TLS frontend.
	ExactTLSRoutesMap = "routes-tls-exact"
)

// ConditionsShards is the number of maps with conditions. HAProxy tries one regular
// expression of a map after the other.
const ConditionsShards = 16

// ConditionsMap is the name of a map that leads a request of a bucket to a value of a
// routes map, by the first regular expression that matches. Unlike in other maps, the
// order of the entries counts.
func ConditionsMap(shard int) string { return fmt.Sprintf("%s%02d", conditionsPrefix, shard) }

const conditionsPrefix = "conditions-"

func isConditionsMap(name string) bool { return strings.HasPrefix(name, conditionsPrefix) }

// Ordered reports whether the order of the entries counts.
func (m Map) Ordered() bool { return isConditionsMap(m.Name) }

// HoldsRules reports whether values of other maps lead to the entries of the map.
func (m Map) HoldsRules() bool { return isRulesMap(m.Name) }

// LeadsToRules reports whether values of the map can lead to entries of another one.
func (m Map) LeadsToRules() bool { return isRoutesMap(m.Name) || isConditionsMap(m.Name) }

// RuleMapNames lists the maps that only a HAProxy with Settings.Rules uses. The Plan
// replaces them in this order, before the other maps; ListenersMap after them.
func RuleMapNames() []string {
	names := []string{RulesMap}
	for shard := range ConditionsShards {
		names = append(names, ConditionsMap(shard))
	}
	return append(names, ExactRoutesMap, ExactTLSRoutesMap, ListenersMap)
}

// MapNames lists the maps of the State: MapNames, and RuleMapNames with Settings.Rules.
func (s State) MapNames() []string {
	if s.Settings.Rules {
		return slices.Concat(MapNames(), RuleMapNames())
	}
	return MapNames()
}

// The values of a routes map that lead to no backend themselves. A Route with Actions or
// Conditions is "!rule|RANK|ID|ORDER". A path that has Routes with Conditions is
// "!bucket|RANK|IDS|VALUE": one of BucketLetters, the IDs of the buckets whose conditions
// are tried, and the value that is used if none is met. Without VALUE, the next host
// pattern is looked up. RANK is that of a plain value.
const (
	RulePrefix   = "!rule|"
	BucketPrefix = "!bucket|"
	// IDField is the field with the ID of a rule, and with the IDs of buckets.
	IDField = 3
	// RestField is the first field of VALUE.
	RestField = 4
)

// idLen is the length of an ID: 96 bits in base64.
const idLen = 16

// The fields of a value of RulesMap. All are there; an empty one means that its letter is
// not in RuleFlagsField. Texts of users are percent-encoded.
const (
	RuleBackendField  = 1 + iota // "" with RuleTargetsField, or if the rule answers itself
	RuleFlagsField               // the letters of the actions
	RulePathField                // as PathField
	RuleNewPathField             // as NewPathField
	RuleFullPathField            // the new path
	RuleHostField                // the new Host
	RuleLocationField            // "CODE;SCHEME;HOST;PORT"
	RuleAnswerField              // the status
	RuleTargetsField             // "TOTAL;TARGET;CUMULATED;TARGET;CUMULATED..."
	RuleTimeoutField             // in milliseconds
	RuleRequestField             // changes of headers
	RuleResponseField            // changes of headers
	RuleCORSField                // "ORIGINS;METHODS;HEADERS;EXPOSE;SECONDS;CREDENTIALS"
	ruleActionsField             // the Actions, for ParseRoutes
)

// The letters of RuleFlagsField.
const (
	RewritesFlag = "r"
	FullPathFlag = "p"
	HostFlag     = "h"
	LocationFlag = "l"
	AnswerFlag   = "a"
	TargetsFlag  = "w"
	TimeoutFlag  = "t"
	RequestFlag  = "q"
	ResponseFlag = "s"
	CORSFlag     = "c"
)

// KeepPort is the PORT of RuleLocationField that means the port in Host.
const KeepPort = "*"

// invalidTarget is a TARGET that answers 500.
const invalidTarget = TargetDelimiter

// TargetDelimiter is between the backend of a TARGET and its changes of headers of
// requests and of responses, if it has any.
const TargetDelimiter = "!"

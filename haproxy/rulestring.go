// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"encoding/json"
	"fmt"
)

// describeRule is the fields of a Route that only a HAProxy with Settings.Rules serves,
// for String; "" if none is set.
func (r Route) describeRule() string {
	text := ""
	if r.Listener.IsValid() {
		text += fmt.Sprintf(" listener=%s", r.Listener)
	}
	if r.Exact {
		text += " exact"
	}
	if r.Order != 0 {
		text += fmt.Sprintf(" order=%d", r.Order)
	}
	if r.Conditions != nil {
		text += " if " + content(r.Conditions)
	}
	if r.Actions != nil {
		text += " actions " + content(r.Actions)
	}
	if o := r.Origin; o != nil {
		text += fmt.Sprintf(" from %s", o)
	}
	return text
}

// String is "HTTPRoute shop/cart rule 0 match 1".
func (o *Origin) String() string {
	return fmt.Sprintf("%s %s/%s rule %d match %d", o.Kind, o.Namespace, o.Name, o.Rule, o.Match)
}

// content is the fields that are set, as JSON.
func content(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

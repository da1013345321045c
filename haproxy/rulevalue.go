// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// needsRule reports whether the Route has a value of RulesMap.
func (r Route) needsRule() bool {
	replacesRoot := r.Path == "" && r.Rewrite != "" && r.Rewrite != "/"
	return r.Actions != nil || r.Conditions != nil || replacesRoot
}

// Backends are the backends that the Route leads to.
func (r Route) Backends() []string {
	var names []string
	switch a := r.Actions; {
	case a != nil && (a.Location != nil || a.Answer != 0):
	case a != nil && a.Targets != nil:
		for _, t := range a.Targets {
			if t.Backend != "" {
				names = append(names, t.Backend)
			}
		}
	case r.Backend != "":
		names = []string{r.Backend}
	}
	return names
}

// rule returns the value of RulesMap of a Route, and its ID.
func (r Route) rule() (id, value string) {
	if value = r.ruleText(); len(value) > maxRuleText {
		r.Actions, r.Rewrite = &Actions{Answer: 500}, ""
		value = r.ruleText()
	}
	return hashID(value), value
}

// ruleText is the value of RulesMap, however long it is.
func (r Route) ruleText() string {
	a := Actions{}
	if r.Actions != nil {
		a = *r.Actions
	}
	var fields [ruleActionsField]string
	flags := ""
	set := func(flag string, field int, value string) {
		if value != "" {
			flags += flag
			fields[field-1] = value
		}
	}
	answer := a.Answer
	switch {
	case a.Location != nil:
		set(LocationFlag, RuleLocationField, r.location(*a.Location))
	case answer != 0:
	case a.Targets != nil:
		targets := a.targets()
		set(TargetsFlag, RuleTargetsField, targets)
		if targets == "" {
			answer = 500
		}
	case r.Backend != "":
		fields[RuleBackendField-1] = r.Backend
	default:
		answer = 500
	}
	if answer != 0 {
		set(AnswerFlag, RuleAnswerField, strconv.Itoa(answerCode(answer)))
	}
	rewrite, full := r.Rewrite, a.FullPath
	if a.Location != nil {
		rewrite, full = a.Location.Rewrite, a.Location.FullPath
	}
	if rewrite != "" && isPathText(string(rewrite)) && (r.Path != "" || rewrite != "/") {
		flags += RewritesFlag
		fields[RulePathField-1] = string(r.Path)
		if rewrite != "/" {
			fields[RuleNewPathField-1] = escape(string(rewrite))
		}
	}
	if isPathText(full) {
		set(FullPathFlag, RuleFullPathField, escape(full))
	}
	if isHostText(a.Host) {
		set(HostFlag, RuleHostField, escape(a.Host))
	}
	if a.Timeout != 0 {
		set(TimeoutFlag, RuleTimeoutField, milliseconds(a.Timeout))
	}
	if a.Targets == nil {
		set(RequestFlag, RuleRequestField, a.Request.text(HeaderChanges{}))
	}
	set(ResponseFlag, RuleResponseField, a.Response.text(HeaderChanges{}))
	if a.CORS != nil {
		set(CORSFlag, RuleCORSField, a.CORS.text())
	}
	fields[RuleFlagsField-1] = flags
	if r.Actions != nil {
		fields[ruleActionsField-1] = encodeJSON(r.Actions)
	}
	return strings.Join(fields[:], "|")
}

// maxRuleText is the maximum length of a line of RulesMap and of a ConditionsMap. HAProxy
// takes the rest of a line that is longer than its buffer (16 KiB) for another line.
const maxRuleText = 8192

// Fits reports whether the text of the conditions and of the actions is short enough for
// a line of a map. HAProxy answers 500 for actions that are longer, and no request meets
// longer conditions.
func (r Route) Fits() bool {
	return len(r.ruleText()) <= maxRuleText && (r.Conditions == nil || r.conditionsFit())
}

func (r Route) conditionsFit() bool {
	return len(r.Conditions.pattern())+len(r.ruleValue())+len(encodeJSON(r.Conditions)) < maxRuleText-len(bucketPattern)-idLen
}

// ruleValue is the value in a routes map of a Route with a rule.
func (r Route) ruleValue() string {
	id, _ := r.rule()
	return RulePrefix + strconv.Itoa(r.rank()) + "|" + id + "|" + strconv.Itoa(r.Order)
}

// noTimeout is the longest timeout of HAProxy in milliseconds.
const noTimeout = "2147483647"

func milliseconds(d time.Duration) string {
	if ms := d.Milliseconds(); d > 0 && ms < 1<<31 {
		return strconv.FormatInt(max(1, ms), 10)
	}
	return noTimeout
}

// location is the value of RuleLocationField.
func (r Route) location(l Location) string {
	tls := r.TLS
	scheme, port := "", ""
	if l.Scheme == "http" || l.Scheme == "https" {
		scheme, tls = l.Scheme, l.Scheme == "https"
	}
	usual := uint16(80)
	if tls {
		usual = 443
	}
	n := l.Port
	if n == 0 && scheme == "" {
		n = r.Listener.Port()
	}
	switch {
	case n == 0 && scheme == "":
		port = KeepPort
	case n != 0 && n != usual:
		port = fmt.Sprintf(":%d", n)
	}
	host := ""
	if isHostText(l.Host) {
		host = escape(l.Host)
	}
	code := l.Code
	if !slices.Contains(RedirectCodes(), code) {
		code = 302
	}
	return fmt.Sprintf("%d;%s;%s;%s", code, scheme, host, port)
}

// RedirectCodes are the codes of Location.
func RedirectCodes() []int { return []int{301, 302, 303, 307, 308} }

// AnswerCodes are the codes of Actions.Answer, because HAProxy has a line for each.
func AnswerCodes() []int {
	return []int{200, 204, 400, 401, 403, 404, 405, 410, 413, 421, 429, 500, 502, 503, 504}
}

// answerCode returns 500 for another code.
func answerCode(code int) int {
	if slices.Contains(AnswerCodes(), code) {
		return code
	}
	return 500
}

// targets is the value of RuleTargetsField; "" if no request gets to any Target.
func (a Actions) targets() string {
	total := 0
	list := ""
	for _, t := range a.Targets[:min(len(a.Targets), MaxTargets)] {
		if t.Weight <= 0 {
			continue
		}
		total += min(t.Weight, MaxWeight)
		token := t.Backend
		request, response := a.Request.text(t.Request), a.Response.text(t.Response)
		switch {
		case t.Backend == "":
			token = invalidTarget
		case request+response != "":
			token += TargetDelimiter + request + TargetDelimiter + response
		}
		list += fmt.Sprintf(";%s;%d", token, total)
	}
	if total == 0 {
		return ""
	}
	return strconv.Itoa(total) + list
}

// hashID returns the ID of a content.
func hashID(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d %s\n", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:idLen*6/8])
}

func encodeJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types of rule.go have no value that cannot be encoded
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodeJSON(text string, to any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(raw, to) == nil
}

// escape percent-encodes every character that could be a delimiter in a map, in HAProxy's
// configuration or for its converter url_dec.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanumeric(c) || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isPathText reports whether s can be a path in a request.
func isPathText(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '?' || c == '#' })
}

// isHostText reports whether s can be a Host, with or without a port.
func isHostText(s string) bool {
	return s != "" && len(s) <= maxName+len(":65535") &&
		!strings.ContainsFunc(s, func(c rune) bool {
			return c >= 0x7f || !isAlphanumeric(byte(c)) && !strings.ContainsRune("-._:[]", c)
		})
}

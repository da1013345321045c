// SPDX-License-Identifier: Apache-2.0

package main

import "regexp"

// rule matches wording that is not plain technical English, or not the term that podgate
// uses.
type rule struct {
	find    *regexp.Regexp
	unless  *regexp.Regexp // allows the matches within its own matches; nil allows none
	instead string
}

// excused reports whether unless matches the text around at.
func (r rule) excused(s string, at []int) bool {
	if r.unless == nil {
		return false
	}
	for _, u := range r.unless.FindAllStringIndex(s, -1) {
		if u[0] <= at[0] && at[1] <= u[1] {
			return true
		}
	}
	return false
}

// rules returns all rules. A blank in a pattern matches any white space, also a line
// break.
func rules() []rule {
	blank := regexp.MustCompile(" ")
	pattern := func(s string) *regexp.Regexp {
		return regexp.MustCompile(`(?i)` + blank.ReplaceAllString(s, `\s+`))
	}
	var all []rule
	for _, r := range [][3]string{ // find, instead, unless
		{`\b(told|tells?|telling)\b`, "log, report, return, show, distinguish"},
		{`\b(says|said)\b`, "report, set, contain"},
		{`\b(is|are|was|were) of\b`, "name the relation: belongs to, is returned by, has", `\b(is|are) of type\b`},
		{`\bof (ours|yours|theirs)\b`, "podgate's, your"},
		{`\b(whoever|whomever|whom)\b`, "name the person or thing"},
		{`\bwho asks\b`, "name the person or thing"},
		{`\bask(s|ed|ing)? for\b`, "request, claim, require"},
		{`\bnobody('s)?\b`, "no client, no user"},
		{`\b(is |are |be )?none of\b`, "not in, not one of, no"},
		{`\b(is|are) none\b`, "there is no ..."},
		{`\bbut for\b`, "except"},
		{`\ball the same\b`, "nevertheless, or leave it out"},
		{`\bfor want of\b`, "because there is no"},
		{`\bbesides?\b`, "in addition to, next to, with"},
		{`\bbehind\b`, "after", `\bbehind ((a|an|the|your|its|this|another|several) )?((cloud|load|reverse|external|same) )*(load balancers?|balancer|proxy|NAT|NLB|ALB|firewall)\b`},
		{`\b(stands?|stood)\b`, "is", `\bstands? for\b`},
		{`\banew\b`, "again"},
		{`\bwhat of it\b`, "name it"},
		{`\botherwise\s*([.;)]|$)`, "name the difference", `\bunless [^.;]* otherwise\s*([.;)]|$)`},
		{`\bin step\b`, "in sync"},
		{`\bretired\b`, "old", `\bretired\b[^.]{0,30}\bservice-loadbalancer\b`},
		{`\b(he|him|his|she|her|hers)\b`, "they, them, their"},
		{`\bat once\b`, "immediately, at the same time"},
		{`\bwithout a word\b`, "silently"},
		{`\b(leave|leaves|left|leaving) out\b`, "skip, ignore"},
		{`\bleft (him|it|them) out\b`, "skip, ignore"},
		{`\b(weakened|lonely)\b`, "degraded, unhealthy"},
		{`\b(dis)?believ(e|es|ed|ing)\b`, "trust"},
		{`\blight backends?\b`, "dynamic backend"},
		{`\b(strangers?|expel(s|led)?)\b`, "unmanaged server, remove"},
		{`\b(sift|sifts|sifted|vets|vetted)\b`, "validate, reject"},
		{`\b(go|goes|going|went) on\b`, "continue"},
		{`\b(lets?|letting) ((it|them|that|what|the \w+) )?go\b`, "apply, release"},
		{`\b(pods?|servers?|services?|endpoints?|clients?|routes?) (that )?(comes?|goes|leaves?|went|came)\b`, "is added, is removed, drains", `\b(clients?|pods?) comes? from\b`},
		{`\b(takes?|took|taken|taking) hold\b`, "take effect"},
	} {
		n := rule{find: pattern(r[0]), instead: r[1]}
		if r[2] != "" {
			n.unless = pattern(r[2])
		}
		all = append(all, n)
	}
	return all
}

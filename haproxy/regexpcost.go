// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"slices"
)

// PCRE2 backtracks: where two ways are possible, it tries the first, and the second if the
// first fails later. This file finds how many steps that can take, and rejects expressions
// for which they can be more than linear in the length of the text. What follows a part
// decides whether a byte leaves PCRE2 a choice: "[a-z]*-" leaves none, ".*-" does.

// regexpChoice is how PCRE2 evaluates a repetition without limit.
type regexpChoice struct {
	// possessive means that the text leaves no choice when to end it.
	possessive bool
	// first is the number of elements, the repetition included, that match in one place
	// only: the first possible one. What follows them begins with a repetition of all the
	// bytes that they contain, so another place is never better. It is zero for a
	// repetition that can match in several places.
	first int
	// guard is the rest of the expression; the repetition ends as soon as it matches.
	guard *regexpRest
}

// steps is a number of steps: a fixed one, and one for each byte of the text.
type steps struct{ fixed, perByte int }

const manySteps = 1 << 40

func (s steps) plus(o steps) steps {
	return steps{min(s.fixed+o.fixed, manySteps), min(s.perByte+o.perByte, manySteps)}
}

func (s steps) times(n int) steps {
	return steps{saturated(s.fixed, n), saturated(s.perByte, n)}
}

func (s steps) max(o steps) steps {
	return steps{max(s.fixed, o.fixed), max(s.perByte, o.perByte)}
}

func saturated(a, b int) int {
	if b > 0 && a > manySteps/b {
		return manySteps
	}
	return a * b
}

// at returns the steps for a text of a length.
func (s steps) at(length int) int { return s.plus(steps{fixed: saturated(s.perByte, length)}).fixed }

// regexpRest is the rest of an expression from a node on, and what PCRE2 does to match it.
type regexpRest struct {
	node     *regexpNode // nil at the end of the expression and of the body of a repetition
	next     *regexpRest // after node
	first    byteSet     // with which a text of it can begin
	end      bool        // it can be empty
	failing  int         // comparisons that find that it does not begin with a byte
	steps    steps       // for all ways to match it
	repeated bool        // it is in a repetition without limit
}

// regexpAnalysis is the state of an analysis.
type regexpAnalysis struct {
	// copies is the number of counted repetitions around the current node. It is analyzed
	// once for each count, so its regexpChoice must not depend on what follows them.
	copies int
}

// analyzeRegexp sets the regexpChoices of an expression and returns its steps.
func analyzeRegexp(root *regexpNode) (steps, error) {
	var a regexpAnalysis
	rest, err := a.sequence(root, &regexpRest{end: true, failing: 1})
	if err != nil {
		return steps{}, err
	}
	return rest.steps, nil
}

// sequence returns the rest of the expression that begins with n.
func (a *regexpAnalysis) sequence(n *regexpNode, next *regexpRest) (*regexpRest, error) {
	rests := make([]*regexpRest, len(n.subs)+1)
	rests[len(n.subs)] = next
	for i, sub := range slices.Backward(n.subs) {
		var err error
		if rests[i], err = a.element(sub, n.subs[i+1:], rests[i+1:]); err != nil {
			return nil, err
		}
	}
	return rests[0], nil
}

// element returns the rest that begins with n, which is followed by elements of the same
// sequence. rests are those of these elements, and the one after them.
func (a *regexpAnalysis) element(n *regexpNode, followers []*regexpNode, rests []*regexpRest) (*regexpRest, error) {
	next := rests[0]
	r := &regexpRest{node: n, next: next, repeated: next.repeated}
	switch n.op {
	case oneOf:
		r.first, r.failing, r.steps = n.set, 1, next.steps.plus(steps{fixed: 1})
		return r, nil
	case boundary, notBoundary:
		r.first, r.end, r.failing, r.steps = next.first, next.end, next.failing+1, next.steps.plus(steps{fixed: 1})
		return r, nil
	case alternation:
		branches := make([]*regexpRest, len(n.subs))
		for i, sub := range n.subs {
			var err error
			if branches[i], err = a.sequence(sub, next); err != nil {
				return nil, err
			}
		}
		return r, r.choose(branches)
	}
	if set, ok := n.single(); ok {
		return r, a.bytes(r, set, followers, rests)
	}
	if n.max < 0 {
		return r, a.loop(r)
	}
	return r, a.counted(r)
}

// choose sets r for a choice between branches: those that can begin with the same byte are
// all tried.
func (r *regexpRest) choose(branches []*regexpRest) error {
	var most steps
	for b := range 257 {
		var sum steps
		tried := 0
		for _, branch := range branches {
			if b < 256 && branch.first.has(byte(b)) || b == 256 && branch.end {
				sum = sum.plus(branch.steps)
				tried++
			}
		}
		if tried > 1 && r.repeated {
			return fmt.Errorf("%q is in a repetition, and a byte leaves the choice between two of its parts", r.node.text())
		}
		most = most.max(sum)
	}
	r.steps = most
	for _, branch := range branches {
		r.first, r.end, r.failing = r.first.or(branch.first), r.end || branch.end, r.failing+branch.failing
	}
	r.steps.fixed += r.failing
	return nil
}

// bytes sets r for a repetition of one byte of a set.
func (a *regexpAnalysis) bytes(r *regexpRest, set byteSet, followers []*regexpNode, rests []*regexpRest) error {
	n, next := r.node, r.next
	r.first, r.failing = set, 1
	if n.min == 0 {
		r.first, r.end, r.failing = set.or(next.first), next.end, 1+next.failing
	}
	overlaps := set.overlaps(next.first)
	switch {
	case n.max == n.min:
		r.steps = next.steps.plus(steps{fixed: n.max})
		return nil
	case overlaps && r.repeated:
		return fmt.Errorf("%q is in a repetition, and what follows it can begin with the same bytes", n.text())
	case n.max >= 0 && overlaps:
		r.steps = next.steps.plus(steps{fixed: 1}).times(n.max - n.min + 1).plus(steps{fixed: n.max})
		return nil
	case n.max >= 0:
		r.steps = next.steps.plus(steps{fixed: saturated(n.max, 1+next.failing)})
		return nil
	case !overlaps:
		r.steps = next.steps.plus(steps{fixed: n.min + 1 + next.failing, perByte: 1 + next.failing})
		return nil
	case next.steps.perByte == 0:
		r.steps = steps{fixed: n.min + 1 + next.steps.fixed, perByte: 1 + next.steps.fixed}
		return nil
	}
	return a.twoLoops(r, set, followers, rests)
}

// twoLoops sets r for a repetition of one byte without limit that leaves a choice and is
// followed by another one without limit. That is linear if the first possible place of what
// is between them is as good as all others, or if the second one cannot go beyond the next
// place.
func (a *regexpAnalysis) twoLoops(r *regexpRest, set byteSet, followers []*regexpNode, rests []*regexpRest) error {
	between := &regexpNode{}
	for i := 0; ; i++ {
		var second *regexpNode
		switch {
		case i < len(followers):
			second = followers[i]
		case a.copies == 0:
			second = rests[i].node
		}
		if second == nil {
			break
		}
		if loop, ok := second.unlimited(); ok {
			stub := &regexpRest{first: rests[i].first, end: rests[i].end, failing: rests[i].failing}
			searched, err := a.sequence(between, stub)
			if err != nil {
				return err
			}
			if searched.steps.perByte > 0 {
				break
			}
			if loop.includes(set.or(between.all())) {
				r.node.pcre2.first = i + 1
				r.steps = rests[i].steps.plus(steps{fixed: r.node.min + 1 + searched.steps.fixed, perByte: 1 + searched.steps.fixed})
				return nil
			}
			length, _ := between.lengths()
			ends := func(n *regexpNode) bool { return n.op == oneOf && !n.set.overlaps(loop) }
			if second.pcre2.first == 0 && rests[i].next.steps.perByte == 0 && slices.ContainsFunc(between.subs, ends) {
				r.steps = steps{
					fixed:   r.node.min + 1 + searched.steps.fixed + rests[i].steps.fixed,
					perByte: saturated(length+1, rests[i].steps.perByte) + 1 + searched.steps.fixed + rests[i].steps.fixed,
				}
				return nil
			}
		}
		if shortest, longest := second.lengths(); shortest != longest || i >= len(followers) {
			break
		}
		between.subs = append(between.subs, second)
	}
	return fmt.Errorf("%q can match the same bytes as what follows it, %q", r.node.text(), r.next.text())
}

// loop sets r for a repetition of a group without limit.
func (a *regexpAnalysis) loop(r *regexpRest) error {
	n, next := r.node, r.next
	first, failing := n.subs[0].firsts()
	again := &regexpRest{first: first.or(next.first), end: next.end, failing: failing + next.failing, repeated: true}
	body, err := a.sequence(n.subs[0], again)
	if err != nil {
		return err
	}
	r.first, r.failing = first, failing
	if n.min == 0 {
		r.first, r.end, r.failing = again.first, next.end, again.failing
	}
	once := steps{fixed: again.failing, perByte: body.steps.fixed + body.steps.perByte + again.failing}
	least := steps{fixed: saturated(n.min, body.steps.fixed)}
	switch {
	case !first.overlaps(next.first):
		n.pcre2.possessive = true
		r.steps = once.plus(least).plus(next.steps)
		return nil
	case !next.repeated && next.steps.perByte == 0 && a.copies == 0:
		n.pcre2.guard = next
		r.steps = once.plus(least).plus(steps{fixed: 2 * next.steps.fixed, perByte: next.steps.fixed})
		return nil
	}
	return fmt.Errorf("%q can begin with the same bytes as what follows it, %q", n.text(), next.text())
}

// counted sets r for a repetition of a group with a limit, as if it were written out.
func (a *regexpAnalysis) counted(r *regexpRest) error {
	n, rest := r.node, r.next
	if n.max > 1 {
		a.copies++
		defer func() { a.copies-- }()
	}
	for i := n.max; i > 0; i-- {
		body, err := a.sequence(n.subs[0], rest)
		if err != nil {
			return err
		}
		if i > n.min {
			either := &regexpRest{node: n, next: r.next, repeated: r.repeated}
			if err := either.choose([]*regexpRest{body, r.next}); err != nil {
				return err
			}
			body = either
		}
		rest = body
	}
	r.first, r.end, r.failing, r.steps = rest.first, rest.end, rest.failing, rest.steps
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// lookup is Lookup with the names of spares.
func (x exchanger) lookup(ctx context.Context, r haproxy.Request) ([]haproxy.Lookup, error) {
	lookups, err := x.lookUp(ctx, r.Lookups())
	if err != nil {
		return nil, err
	}
	if confined, ok := haproxy.Confine(lookups); ok {
		return x.lookUp(ctx, confined)
	}
	return lookups, nil
}

// Find does lookups in HAProxy's maps, and returns them with the entries that they find.
func (x exchanger) Find(ctx context.Context, lookups []haproxy.Lookup) ([]haproxy.Lookup, error) {
	return x.lookUp(ctx, slices.Clone(lookups))
}

func (x exchanger) lookUp(ctx context.Context, lookups []haproxy.Lookup) ([]haproxy.Lookup, error) {
	commands := make([]string, len(lookups))
	for i, l := range lookups {
		file, err := x.mapPath(l.Map)
		if err == nil {
			err = checkWord("key", l.Key)
		}
		if err != nil {
			return nil, err
		}
		commands[i] = "get map " + file + " " + l.Key
	}
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	for i, reply := range replies {
		lookups[i].Found = haproxy.MapEntry{Key: quotedField(reply, "key"), Value: quotedField(reply, "value")}
	}
	return lookups, nil
}

// quotedField returns the text of name="text" in a reply to "get map".
func quotedField(reply, name string) string {
	_, rest, ok := strings.Cut(reply, " "+name+`="`)
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

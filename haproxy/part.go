// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strings"
)

// Part is a part of a State that HAProxy usually changes at run time. Exactly one field
// is set.
type Part struct {
	Map         string // one of MapNames
	Certificate string // a Certificate.Name
	Server      string // "shop_cart_80/10.1.2.3:8080"
}

// String is "map routes".
func (p Part) String() string {
	switch {
	case p.Map != "":
		return "map " + p.Map
	case p.Certificate != "":
		return "certificate " + p.Certificate
	}
	return "server " + p.Server
}

// notAtRuntime returns a reason for each Part in AtReload that HAProxy does not serve as
// it is wanted.
func (r Running) notAtRuntime(want State) (reasons Reasons) {
	for p, why := range r.AtReload {
		if r.differs(p, want) {
			backend, _, _ := strings.Cut(p.Server, "/")
			reasons = append(reasons, ReloadReason{NotAtRuntime, p.String(), why, backend})
		}
	}
	return reasons
}

// differs reports whether HAProxy serves a Part in another way than is wanted. A Part
// that is not wanted does not differ: it is removed at run time.
func (r Running) differs(p Part, want State) bool {
	switch {
	case p.Map != "":
		named := func(m Map) bool { return m.Name == p.Map }
		wanted := want.InSpares(r.Loaded).Maps()
		i, j := slices.IndexFunc(r.Maps, named), slices.IndexFunc(wanted, named)
		return i >= 0 && j >= 0 && !slices.Equal(r.Maps[i].Entries, wanted[j].Entries)
	case p.Certificate != "":
		byName := func(c Certificate, name string) int { return cmp.Compare(c.Name, name) }
		j, wanted := slices.BinarySearchFunc(want.Certificates, p.Certificate, byName)
		i, loaded := slices.BinarySearchFunc(r.Certificates, p.Certificate, byName)
		return wanted && (!loaded || r.Certificates[i].Digest != want.Certificates[j].Digest || !slices.Equal(r.Certificates[i].Serves, want.Certificates[j].Serves))
	}
	for _, b := range want.Backends.All() {
		for _, s := range b.Servers {
			if b.Name+"/"+s.Name() == p.Server {
				return !slices.ContainsFunc(r.Servers[b.Name], func(o Server) bool { return o.Addr == s.Addr && o.State != Maint })
			}
		}
	}
	return false
}

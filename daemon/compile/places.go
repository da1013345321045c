// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"hash/maphash"
	"math/bits"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// places finds a Service in a list of them by its Key: a search by halves reads
// the names of a dozen others, each from memory that nobody has read for long.
// It is a hash table with open addressing that holds no pointers: index + 1, and
// zero where nothing is. Nil finds nothing.
type places []uint32

var placeSeed = maphash.MakeSeed()

func newPlaces(services haproxy.List[*service]) places {
	if services.Len() == 0 {
		return nil
	}
	p := make(places, 2<<bits.Len(uint(services.Len()))) // a quarter full, or half
	for i, s := range services.All() {
		at := p.first(s.object.Key)
		for p[at] != 0 {
			at = p.next(at)
		}
		p[at] = uint32(i + 1)
	}
	return p
}

// find returns the index of a Service in the list that p was made of, or in one
// with the same Keys.
func (p places) find(services haproxy.List[*service], key kubeapi.Key) (int, bool) {
	if p == nil {
		return 0, false
	}
	for at := p.first(key); p[at] != 0; at = p.next(at) {
		if i := int(p[at] - 1); services.At(i).object.Key == key {
			return i, true
		}
	}
	return 0, false
}

func (p places) first(key kubeapi.Key) int {
	return int(maphash.Comparable(placeSeed, key) & uint64(len(p)-1))
}

func (p places) next(at int) int { return (at + 1) & (len(p) - 1) }

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
)

// List is one complete list of a resource, of one page or several.
type List struct {
	Version string // resourceVersion
	Objects []Object
	Unread  map[Key]error // objects that exist and cannot be decoded
	Strings Interner      // of the objects, also of those in watch events up to the next list
	Share   *Share        // what the List has of a Budget; nil for no limit
}

// add adds an object.
func (l *List) add(o Object) error {
	if err := l.Share.Grow(Size(o)); err != nil {
		return err
	}
	l.Objects = append(l.Objects, o)
	return nil
}

// NewList returns a List for ReadPage.
func NewList() *List { return &List{Strings: make(Interner)} }

// skip notes that the object named key cannot be decoded.
func (l *List) skip(key Key, err error) error {
	if err := l.Share.Grow(int64(256 + len(key.Namespace) + len(key.Name))); err != nil {
		return err
	}
	if l.Unread == nil {
		l.Unread = make(map[Key]error)
	}
	l.Unread[key] = err
	return nil
}

// readError wraps the error of an answer that is incomplete or malformed.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read answer: %w", err)
}

// errNameless rejects the whole list: more may be missing from it.
var errNameless = errors.New("an object has no name (does a proxy in between rewrite answers?)")

// errNoList rejects valid JSON or protobuf of something else.
var errNoList = errors.New("read answer: not a Kubernetes list, it has no resourceVersion")

// SPDX-License-Identifier: Apache-2.0

package reconcile

// bisect calls accept with all items. It splits a list that accept returns an error for
// into halves, down to single items, for which it calls reject.
func bisect[T any](items []T, accept func([]T) error, reject func(T, error)) {
	if len(items) == 0 {
		return
	}
	if err := accept(items); err != nil {
		bisectRejected(items, err, accept, reject)
	}
}

// bisectRejected is bisect for items for which accept has returned err.
func bisectRejected[T any](items []T, err error, accept func([]T) error, reject func(T, error)) {
	if len(items) == 1 {
		reject(items[0], err)
		return
	}
	half := len(items) / 2
	bisect(items[:half], accept, reject)
	bisect(items[half:], accept, reject)
}

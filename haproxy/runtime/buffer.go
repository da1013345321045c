// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
)

// A command, together with its payload, must fit in a buffer of the process
// (configuration.txt "tune.bufsize"): HAProxy 2.6 never answers a longer one, and newer
// versions reject it.
const (
	// smallestBuffer is the size that every process has. HAProxy cannot forward requests
	// with smaller buffers.
	smallestBuffer = 1024
	// maxLine limits a line of commands, and maxPayload the payload of one "add map",
	// also if the buffers are larger: longer ones are not faster.
	maxLine    = 12 << 10
	maxPayload = 8 << 10
)

// limits are the lengths that the process reads, which depend on the size of its
// buffers.
type limits struct {
	text    int // of a command with its payload, as it is sent
	line    int // of a line of commands
	payload int // of one "add map"
}

// limitsOf returns the limits for buffers of this size. A part of the buffer stays free:
// "show pools" rounds its size, and the words around a payload count as well.
func limitsOf(buffer int) limits {
	text := buffer - min(1024, buffer/8)
	return limits{text: text, line: min(text, maxLine), payload: min(text-min(text/4, 512), maxPayload)}
}

// limits returns the limits of the process. A Session asks its process once.
func (x exchanger) limits(ctx context.Context) (limits, error) {
	if x.known != nil && x.known.text > 0 {
		return *x.known, nil
	}
	const command = "show pools"
	size, err := ask(ctx, x, func(ask asker) (int, error) {
		size, shown := 0, 0
		err := ask(ctx, []string{command}, func(_ int, line []byte) error {
			size, shown = max(size, bufferSize(line)), shown+len(line)+1
			return nil
		})
		// HAProxy 2.6 cuts the reply at the size of a buffer.
		return cmp.Or(size, shown), err
	})
	if err == nil && size == 0 {
		err = fmt.Errorf("%s: got an empty reply, want the size of the buffers", command)
	}
	if err != nil {
		return limits{}, err
	}
	l := limitsOf(size)
	if x.known != nil {
		*x.known = l
	}
	return l, nil
}

// bufferSize returns the size of the buffers from a line of "show pools" (management.txt
// "show pools"); 0 for other lines. All versions show "Pool trash (16416 bytes", whose
// objects are a buffer and its 32 bytes of administration. 3.0 and newer hide the pool
// "buffer" while no buffer is in use.
func bufferSize(line []byte) int {
	const administration = 32
	_, rest, ok := bytes.Cut(line, []byte("Pool trash ("))
	if !ok {
		return 0
	}
	size := 0
	for _, digit := range rest {
		if digit < '0' || digit > '9' || size > 1<<30 {
			break
		}
		size = 10*size + int(digit-'0')
	}
	return max(0, size-administration)
}

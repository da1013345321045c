// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"io"
	"mime"
	"strings"
)

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	jsonType     = "application/json"

	// Accept prefers protobuf, which costs both sides a fraction of JSON, and allows
	// JSON, for an API server or a proxy that supports nothing else.
	Accept = protobufType + ", " + jsonType
)

// isProtobuf reports whether an answer is in protobuf. Any other is read as JSON.
func isProtobuf(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == protobufType
}

// ReadPage adds the objects of a page of r to l and returns the continue token of the
// next page, "" after the last. On an error l has some of them.
func ReadPage(contentType string, body io.Reader, r Resource, l *List) (next string, err error) {
	if isProtobuf(contentType) {
		return newProtoPage(r, l).decode(body)
	}
	return (&jsonPage{resource: r, into: l}).decode(body)
}

// NewEventReader returns a reader of a watch on r.
func NewEventReader(contentType string, body io.Reader, r Resource, strings Interner) EventReader {
	if isProtobuf(contentType) {
		return newProtoEvents(body, r, strings)
	}
	return newJSONEvents(body, r, strings)
}

// ReadMessage returns the message of a metav1.Status, or the first line of plain
// text, as a 429 and most answers of proxies are; else "".
func ReadMessage(contentType string, body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, 64<<10))
	if isProtobuf(contentType) {
		return protoMessage(text)
	}
	if status, err := jsonStatus(func(v any) error { return json.Unmarshal(text, v) }); err == nil {
		return status.Message
	}
	if strings.HasPrefix(contentType, "text/plain") {
		line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		return line[:min(len(line), 200)]
	}
	return ""
}

func protoMessage(text []byte) string {
	raw, err := unwrapProto(text)
	if err != nil {
		return ""
	}
	status, err := protoStatus(raw)
	if err != nil {
		return ""
	}
	return status.Message
}

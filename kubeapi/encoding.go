// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"io"
	"mime"
	"net/http"
)

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	jsonType     = "application/json"

	// accept asks for protobuf, which costs either side a fraction of JSON, and
	// takes what an API server or a proxy has instead.
	accept = protobufType + ", " + jsonType
)

// isProtobuf reports whether resp is in protobuf. Whatever else it says it is
// read as JSON.
func isProtobuf(resp *http.Response) bool {
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && mediaType == protobufType
}

// pageDecoder adds the objects of a page to a listing and returns the token of
// the next page, "" after the last.
type pageDecoder interface {
	decode(body io.Reader) (next string, err error)
}

// newPageDecoder returns what reads resp, a page of r, into l.
func newPageDecoder(resp *http.Response, r resource, l *listing) pageDecoder {
	if isProtobuf(resp) {
		return newProtoPage(r, l)
	}
	return &jsonPage{resource: r, into: l}
}

package frontend

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the document
	"encoding/hex"
	"encoding/json"
)

// openAPISource is the OpenAPI 3.1 document of this API. It is written by hand;
// tests hold it to what the handlers do, in both directions.
//
//go:embed openapi.json
var openAPISource []byte

// openAPI is what GET /openapi.json sends: prepared once, never changed.
var openAPI = prepareOpenAPI(openAPISource)

type openAPIDocument struct{ body, tag []byte }

func prepareOpenAPI(source []byte) openAPIDocument {
	var small bytes.Buffer
	if err := json.Compact(&small, source); err != nil {
		panic("frontend: openapi.json: " + err.Error())
	}
	sum := sha256.Sum256(small.Bytes())
	return openAPIDocument{body: small.Bytes(), tag: []byte(`"` + hex.EncodeToString(sum[:8]) + `"`)}
}

var (
	openAPIPath     = []byte("/openapi.json")
	headETag        = []byte("Etag")
	headIfNoneMatch = []byte("If-None-Match")
	valuePublic     = []byte("public, max-age=300")
	anyTag          = []byte("*")
)

// getOpenAPI answers GET /openapi.json, to anybody.
func (c *call) getOpenAPI() {
	if !c.noQuery() {
		return
	}
	status := 200
	c.out = append(c.out[:0], openAPI.body...)
	if openAPI.matches(c.ctx.Request.Header.PeekCanonical(headIfNoneMatch)) {
		status, c.out = 304, c.out[:0]
	}
	c.answer(status, valueJSON)
	header := &c.ctx.Response.Header
	header.SetCanonical(headETag, openAPI.tag)
	header.SetCanonical(headCacheControl, valuePublic)
}

// matches reads If-None-Match (RFC 9110, 13.1.2): tags are compared weakly.
func (d *openAPIDocument) matches(header []byte) bool {
	for tag := range bytes.SplitSeq(header, []byte(",")) {
		tag = bytes.TrimPrefix(bytes.TrimSpace(tag), []byte("W/"))
		if bytes.Equal(tag, d.tag) || bytes.Equal(tag, anyTag) {
			return true
		}
	}
	return false
}

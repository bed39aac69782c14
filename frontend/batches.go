package frontend

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	payswitch "github.com/tranzit/tranzit/switch"
)

var (
	batchesPath = []byte("/v1/batches")
	mediaCSV    = []byte("text/csv")
	mediaLines  = [][]byte{[]byte("application/x-ndjson"), []byte("application/jsonl")}
)

const batchPrefix = payswitch.BatchPrefix

// targetBatch reads the batch of the path, or answers 404.
func (c *call) targetBatch(text []byte) bool {
	return c.identify(text, batchPrefix, "batch")
}

// longBody lets who has a key send a batch, or a document, which may be longer than
// anything else, and take its time. It is asked before the body is read.
func (s *Server) longBody(header *fasthttp.RequestHeader) (config fasthttp.RequestConfig) {
	isBatch := bytes.Equal(header.RequestURI(), batchesPath)
	if !header.IsPost() || !isBatch && !bytes.HasPrefix(header.RequestURI(), []byte(applicationsPath)) {
		return config
	}
	defer func() {
		if recover() != nil { // nobody else would: the request has no call yet
			s.noise.add(noisePanic)
			config = fasthttp.RequestConfig{}
		}
	}()
	if !isBatch {
		return s.longAct(header)
	}
	var buf [maxAPIKey + 2]byte
	key, ok := apiKey(header.Peek("Authorization"), buf[:])
	if ok {
		_, ok = s.sw.Authenticate(key)
	}
	clear(buf[:])
	if ok {
		config.MaxRequestBodySize, config.ReadTimeout = maxBatchBody, 6*s.o.ReadTimeout
	}
	return config
}

// createBatch answers POST /v1/batches.
func (c *call) createBatch() {
	header, body := &c.ctx.Request.Header, c.ctx.Request.Body()
	asCSV, ok := batchMedia(header.ContentType())
	if !ok || len(header.PeekCanonical(headContentEncoding)) > 0 {
		c.refuse(problem{kind: problemMediaType, detail: "Send the rows as `Content-Type: application/x-ndjson` or `text/csv`, in UTF-8 and not compressed."})
		return
	}
	if !c.noQuery() {
		return
	}
	key, ok := c.idempotencyKey()
	if !ok {
		return
	}
	d := batchReader{seen: map[string]bool{}}
	defer d.close()
	if asCSV {
		d.csv(body)
	} else {
		d.lines(body)
	}
	if len(d.rows) == 0 && len(d.all) == 0 {
		d.bad(0, fault{"", "too_short", "There is no row."})
	}
	if len(d.all) > 0 {
		c.refuseFaults(d.all)
		return
	}
	r := payswitch.BatchRequest{IdempotencyKey: string(key), RequestID: string(c.requestID[:]), Rows: d.rows,
		Fingerprint: c.server.sw.Fingerprint("POST", "/v1/batches", body)}
	b, replayed, err := c.server.sw.CreateBatch(c.account, &r)
	var bad *payswitch.BadRows
	if errors.As(err, &bad) {
		for _, f := range bad.Faults {
			d.bad(f.Row, fault{f.Refusal.Pointer, rowFaultCode(&f.Refusal), f.Refusal.Detail})
		}
		c.refuseFaults(d.all)
		return
	}
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.repeats(replayed)
	c.stands(string(batchesPath)+"/", batchPrefix, b.ID)
	c.out = appendBatch(c.out[:0], &b)
	c.answer(201, valueJSON)
}

// rowFaultCode is the fault of a row that the journal refutes.
func rowFaultCode(r *payswitch.Refusal) string {
	switch r.Code {
	case payswitch.CodeNotFound:
		return "unknown_payment"
	case payswitch.CodeInvalidState:
		return "invalid_state"
	}
	return string(r.Code)
}

// batchMedia reports whether the content is a CSV or JSON lines.
func batchMedia(contentType []byte) (asCSV, ok bool) {
	media, parameter, more := bytes.Cut(contentType, []byte(";"))
	media = bytes.TrimSpace(media)
	if more {
		name, value, _ := bytes.Cut(bytes.TrimSpace(parameter), []byte("="))
		if !bytes.EqualFold(name, parameterCharset) || !bytes.EqualFold(bytes.Trim(value, `"`), charsetUTF8) {
			return false, false
		}
	}
	for _, lines := range mediaLines {
		ok = ok || bytes.EqualFold(media, lines)
	}
	asCSV = bytes.EqualFold(media, mediaCSV)
	return asCSV, ok || asCSV
}

// getBatch answers GET /v1/batches/{id}, at once or when it has ended.
func (c *call) getBatch() {
	wait, ok := c.readWait()
	if !ok {
		return
	}
	b, err := c.server.sw.Batch(c.account, c.id)
	for end := time.Now().Add(wait); err == nil && b.EndedAt.IsZero() && !c.server.draining.Load(); {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		c.waited = true
		b, err = c.server.sw.WaitBatch(c.account, c.id, min(left, waitSlice))
	}
	c.answerBatch(&b, err)
}

// cancelBatch answers POST /v1/batches/{id}/cancel. It needs no idempotency key: a
// repeat changes nothing.
func (c *call) cancelBatch() {
	var d keyReader
	defer d.close()
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return
	}
	b, err := c.server.sw.CancelBatch(c.account, c.id)
	c.answerBatch(&b, err)
}

func (c *call) answerBatch(b *payswitch.Batch, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendBatch(c.out[:0], b)
	c.answer(200, valueJSON)
}

// listBatches answers GET /v1/batches.
func (c *call) listBatches() {
	limit, cursor := defaultPage, payswitch.ID{}
	ok := c.eachParameter(func(name string, value []byte) string {
		var err error
		switch text := string(value); name {
		case "limit":
			if limit, err = strconv.Atoi(text); err == nil && (limit < 1 || limit > maxPage) {
				return "out_of_range"
			}
		case "cursor":
			cursor, err = payswitch.ParseID(cursorPrefix, text)
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	if !ok {
		return
	}
	page, err := c.server.sw.Batches(c.account, limit, cursor)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = append(c.out[:0], `{"object":"list","data":[`...)
	for i := range page.Batches {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendBatch(c.out, &page.Batches[i])
	}
	next := ""
	if page.More {
		next = page.Next.Text(cursorPrefix)
	}
	c.out = appendPageEnd(c.out, next)
	c.answer(200, valueJSON)
}

// appendPageEnd closes a page of a list; an empty cursor: it is the last.
func appendPageEnd(dst []byte, next string) []byte {
	dst = append(dst, `],"has_more":`...)
	dst = strconv.AppendBool(dst, next != "")
	dst = append(dst, `,"next_cursor":`...)
	return append(appendText(dst, next), '}')
}

// listRows answers GET /v1/batches/{id}/rows.
func (c *call) listRows() {
	q := payswitch.BatchQuery{Limit: defaultResults}
	asCSV, limited := false, false
	ok := c.eachParameter(func(name string, value []byte) string {
		var err error
		switch text := string(value); name {
		case "limit":
			limited = true
			if q.Limit, err = strconv.Atoi(text); err == nil && (q.Limit < 1 || q.Limit > payswitch.MaxBatchPage) {
				return "out_of_range"
			}
		case "cursor":
			if q.After, err = strconv.Atoi(text); err == nil && (q.After < 0 || q.After > payswitch.MaxBatchRows) {
				return "out_of_range"
			}
		case "status":
			if q.Status = text; text != "queued" && text != "done" && text != "refused" && text != "canceled" {
				return "invalid_format"
			}
		case "format":
			if asCSV = text == "csv"; !asCSV && text != "json" {
				return "invalid_format"
			}
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	switch {
	case !ok:
	case asCSV && limited:
		c.refuseFaults([]fault{{"/limit", "out_of_range", "A CSV has all rows: leave limit out."}})
	case asCSV:
		c.streamRows(q)
	default:
		c.pageRows(q)
	}
}

func (c *call) pageRows(q payswitch.BatchQuery) {
	rows, more, err := c.server.sw.BatchRows(c.account, c.id, q)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = append(c.out[:0], `{"object":"list","data":[`...)
	next := ""
	for i := range rows {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendBatchedRow(c.out, &rows[i])
		if more {
			next = strconv.Itoa(rows[i].Row)
		}
	}
	c.out = appendPageEnd(c.out, next)
	c.answer(200, valueJSON)
}

// streamRows answers with all rows of a batch as CSV.
func (c *call) streamRows(q payswitch.BatchQuery) {
	q.Limit = payswitch.MaxBatchPage
	if _, err := c.server.sw.Batch(c.account, c.id); err != nil {
		c.refuse(problemOf(err))
		return
	}
	sw, account, id := c.server.sw, c.account, c.id
	c.streamCSV(rowColumns[:], func(put func([]string)) (bool, error) {
		rows, more, err := sw.BatchRows(account, id, q)
		for i := range rows {
			put(rowOfCSV(&rows[i]))
			q.After = rows[i].Row
		}
		return more, err
	})
}

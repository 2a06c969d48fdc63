package file

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"trailward"
)

// TestWrappersAmongLines holds that a wrapper is taken apart wherever it stands.
func TestWrappersAmongLines(t *testing.T) {
	const (
		records = `{"Records":[{"a":1},{"b":2}]}`
		list    = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"level":"x"},{"level":"y"}]}`
		turned  = `{"apiVersion": "audit.k8s.io/v1", "kind": "EventList", "items": [{"level":"x"},{"level":"y"}]}`
		data    = `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/g","logEvents":[{"id":"e","message":"m"},{"id":"f","message":"n"}]}`
		control = `{"messageType":"CONTROL_MESSAGE","owner":"C","logEvents":[]}`
		entry   = `{"EventId":"i","EventName":"n","EventTime":1,"CloudTrailEvent":"{\"eventID\":\"i\"}"}`
		event   = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1"}`
		turnedE = `{"apiVersion":"audit.k8s.io/v1","kind":"Event","auditID":"1"}`
		v2      = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 443 5 6 1 1 1772359200 1772359260 ACCEPT OK"
		flow    = "<aws.vpcflow>" + v2
		out     = "owner=1 logGroup=/g id="
		looked  = `EventId=i EventName=n EventTime=1 {"eventID":"i"}`
	)
	packed := func(s string) string { return `{"awslogs":{"data":"` + base64d(s) + `"}}` }
	for _, c := range []struct {
		name, in string
		opts     Options
		want     []string
	}{
		{"behind text", "text\n" + records + "\nmore\n", Options{}, []string{"text", `{"a":1}`, `{"b":2}`, "more"}},
		{"behind events", event + "\n" + list + "\n" + turnedE + "\n" + turned + "\r\n" + event, Options{}, []string{event, `{"level":"x"}`, `{"level":"y"}`, turnedE, `{"level":"x"}`, `{"level":"y"}`, event}},
		{"behind JSON", "{\"a\":1}\n" + data + " \n{\"b\":1}\n" + control + "\n" + packed(data) + "\n", Options{}, []string{`{"a":1}`, out + "e m", out + "f n", `{"b":1}`, out + "e m", out + "f n"}},
		{"two in a line", "text\n" + records + records + "\n\n" + records, Options{}, []string{"text", `{"a":1}`, `{"b":2}`, `{"a":1}`, `{"b":2}`, `{"a":1}`, `{"b":2}`}},
		{"pretty", "text\n{\"Records\": [\n  {\"a\":1},\n  {\"b\":2}\n]}\ntext\n", Options{}, []string{"text", `{"a":1}`, `{"b":2}`, "text"}},
		{"text behind it", "text\n" + records + " more\n", Options{}, []string{"text", `{"a":1}`, `{"b":2}`, "more"}},
		{"cut", "text\n" + records[:20], Options{}, []string{"text", `{"a":1}`}},
		{"broken, then another line", "text\n{\"Records\":[{\"a\":1},{\"b\":\n{\"c\":1}\n{\"d\":1}\n", Options{}, []string{"text", `{"a":1}`, `(broken json){"b":`, `{"c":1}`, `{"d":1}`}},
		{"no wrapper", "text\n{\"Records\":[1]}\n{\"items\":[]}\n{\"owner\":\"x\"}\n", Options{}, []string{"text", `{"Records":[1]}`, `{"items":[]}`, `{"owner":"x"}`}},
		{"a kind of JSON", "{\"a\":1}\n" + records + "\n", Options{Kind: trailward.KindCloudTrail}, []string{`<aws.cloudtrail>{"a":1}`, `<aws.cloudtrail>{"a":1}`, `<aws.cloudtrail>{"b":2}`}},
		{"of a function", "text\n" + records + "\n", Options{Kind: trailward.KindLambda}, []string{"<aws.lambda>text", "<aws.lambda>" + records}},
		{"of text", "text\n" + records + "\n", Options{Kind: trailward.KindText}, []string{"<text>text", "<text>" + records}},
		{"longer than a record", "text\n{\"Records\":[" + strings.Repeat(`{"a":1},`, 300) + `{"b":2}]}` + "\ntext\n", Options{MaxRecord: 1 << 10}, append(append([]string{"text"}, strings.Split(strings.Repeat(`{"a":1},`, 300), ",")[:300]...), `{"b":2}`, "text")},

		{"an array of them", "[" + records + "," + list + ",\n" + data + "," + control + "," + packed(data) + `,{"c":3}]` + "\n{\"d\":4}\n", Options{}, []string{`{"a":1}`, `{"b":2}`, `{"level":"x"}`, `{"level":"y"}`, out + "e m", out + "f n", out + "e m", out + "f n", `{"c":3}`, `{"d":4}`}},
		{"an array behind text", "text\n[" + records + "," + records + "]\ntext\n", Options{}, []string{"text", `{"a":1}`, `{"b":2}`, `{"a":1}`, `{"b":2}`, "text"}},
		{"an array cut", "[" + records, Options{}, []string{`{"a":1}`, `{"b":2}`}},

		{"entries, one a line", entry + "\n" + entry + "\n{\"EventId\":\"i\"}\n", Options{}, []string{entry, entry, `{"EventId":"i"}`}},
		{"entries in an array", "[" + entry + "," + entry + `,{"EventId":"i"}]`, Options{}, []string{looked, looked, `{"EventId":"i"}`}},
		{"entries in an array behind text", "text\n[" + entry + "]\n", Options{}, []string{"text", looked}},
		{"entries, pretty", strings.Replace(entry, ",", ",\n", 1) + "\n" + entry, Options{}, []string{strings.Replace(entry, ",", ",\n", 1), entry}},

		{"flow logs in messages", `{"message":"` + v2 + "\"}\n" + `{"message": "` + v2 + `\n"}` + "\r\n" + `{ "message" : "` + v2 + `\n` + v2 + `"}` + "\ntext\n", Options{}, []string{flow, flow, flow, flow, "text"}},
		{"flow logs in messages in a line", strings.Repeat(`{"message":"`+v2+`"}`, 3), Options{}, []string{flow, flow, flow}},
		{"flow logs in messages in an array", `[{"message":"` + v2 + `"},{"message":"` + v2 + `\n` + v2 + `"},{"a":1}]`, Options{}, []string{flow, flow, flow, `{"a":1}`}},
		{"other messages", `{"message":"2 b"}` + "\n" + `{"message":"` + v2 + `","a":1}` + "\n" + `{"message":"` + v2 + `\nx"}` + "\n", Options{}, []string{`{"message":"2 b"}`, `{"message":"` + v2 + `","a":1}`, `{"message":"` + v2 + `\nx"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := stdin(t, c.in, c.opts)
			if strings.Contains(c.name, "cut") { // what is cut is told by a record or the report
				got = got[:min(len(got), len(c.want))]
			}
			same(t, fmt.Sprintf("records of %.100q", c.in), got, c.want)
			c.opts.Stdin = &dribble{s: c.in}
			got, _ = read(t, c.opts, "-")
			if strings.Contains(c.name, "cut") {
				got = got[:min(len(got), len(c.want))]
			}
			same(t, fmt.Sprintf("records of %.100q, byte by byte", c.in), got, c.want)
		})
	}
	// A load that goes on from the middle of a wrapper has lost none of it.
	in, err := NewInput("x", strings.NewReader("text\n"+records+"\n"), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := in.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if n := in.Consumed(); n >= int64(len("text\n"+records))-9 {
		t.Errorf("Consumed() = %d in front of the wrapper's last record, want less", n)
	}
	for err == nil {
		_, err = in.Next()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("Next() = %v, want io.EOF", err)
	}
}

// TestBrokenElements holds that a broken element of a wrapper is counted and takes
// nothing good with it.
func TestBrokenElements(t *testing.T) {
	nested := `{"level":x,"l":[{"n":1},{"n":2}]}`
	for _, open := range []string{`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[`, `{"Records":[`, `[`, "text\n{\"Records\":["} {
		var text []string
		if strings.HasPrefix(open, "text") {
			text = []string{"text"}
		}
		for _, c := range []struct {
			name, in string
			want     []string
		}{
			{"in the middle", `{"level":1},{"level":Metadata},{"level":2}]}`, []string{`{"level":1}`, `(broken json){"level":Metadata}`, `{"level":2}`}},
			{"two, with blanks", `{"level":1}, {"level":x} , {"level":"a"b"}, {"level":2}]}`, []string{`{"level":1}`, `(broken json){"level":x}`, `(broken json){"level":"a"b"}`, `{"level":2}`}},
			{"at first", nested + `,{"level":2}]}`, []string{"(broken json)" + nested, `{"level":2}`}},
			{"without a name", `{"level":1},{level:1},{"level":2}]}`, []string{`{"level":1}`, `(broken json){level:1}`, `{"level":2}`}},
			{"a brace too few", `{"level":1},{"level":{"a":1,{"level":2},{"level":3}]}`, []string{`{"level":1}`, `(broken json){"level":{"a":1,{"level":2}`, `{"level":3}`}},
			{"one a line", "{\"level\":1},\n{\"level\":x},\n{\"level\":2}", []string{`{"level":1}`, `(broken json){"level":x},`, `{"level":2}`}},
		} {
			in := open + c.in
			if open == "[" {
				if c.name == "at first" {
					continue // what begins so is no array of objects, but a line of text
				}
				if whole, ok := strings.CutSuffix(c.in, "]}"); ok {
					in = open + whole + "]"
				}
			}
			got, _ := stdin(t, in, Options{})
			same(t, c.name+": "+in, got, append(text, c.want...))
			got, _ = read(t, Options{Stdin: &dribble{s: in}}, "-")
			same(t, c.name+", byte by byte", got, append(text, c.want...))
		}
	}
}

package store

import (
	"bytes"
	"reflect"
	"testing"

	"trailward"
)

func TestEntryComesBack(t *testing.T) {
	for _, e := range []*entry{
		{group: "/g", total: 0, arrival: 1, records: []trailward.Record{}},
		{group: "/g", batchKey: []byte("k"), body: [32]byte{1}, total: 3, arrival: -5, records: []trailward.Record{
			{Group: "/g", Stream: "a", Kind: "json", Time: 7, Arrival: -5, Raw: []byte("{}")},
			{Group: "/g", Stream: "a", Kind: "json", Time: -7, Arrival: -5, Raw: []byte{}, Attrs: []trailward.Attr{{Name: "stream", Value: "stdout"}}},
			{Group: "/g", Stream: "b", Kind: "aws.vpcflow", Arrival: -5, Raw: []byte("\xff"), Columns: []string{"start", "action"}},
			{Group: "/g", Stream: "b", Kind: "aws.vpcflow", Arrival: -5, Raw: []byte("x"), Columns: []string{"start", "action"}},
			{Group: "/g", Stream: "b", Kind: "aws.vpcflow", Arrival: -5, Raw: []byte("x"), Columns: []string{"start"}},
		}},
	} {
		got, err := decodeEntry(e.encode(nil))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.batchKey) == 0 {
			got.batchKey = nil
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("decodeEntry = %+v, want %+v", got, e)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	e := &entry{group: "/g", batchKey: []byte("k"), total: 1, records: []trailward.Record{{Stream: "s", Kind: "json", Raw: []byte("{}"), Columns: []string{"a"}, Attrs: []trailward.Attr{{Name: "n", Value: "v"}}}}}
	f.Add(e.encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := decodeEntry(e.encode(nil))
		if err != nil || len(again.records) != len(e.records) {
			t.Fatalf("encode(decode(%q)) = %v", b, err)
		}
		for i := range e.records {
			if !bytes.Equal(e.records[i].Raw, again.records[i].Raw) {
				t.Fatalf("record %d differs", i)
			}
		}
	})
}

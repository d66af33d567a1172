package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	observerpb "github.com/cilium/cilium/api/v1/observer"
)

// messageMax bounds a message of a file, in bytes: gRPC's own limit for a client.
const messageMax = 4 << 20

// loader feeds ready-made flows from File: observer.GetFlowsResponse messages, each behind its length
// (4 bytes, big endian). Messages that hold no flow are skipped.
type loader struct {
	File     string `json:"file"`
	Loop     bool   `json:"loop"`     // at its end the file begins anew, until n flows are fed
	Renumber bool   `json:"renumber"` // uuid: new; time: now
}

// load feeds count flows (0: the whole file), rate a second (0: as fast as it goes). The node's name
// becomes its own.
func (n *node) load(l loader, count int, rate float64) error {
	if l.Loop && count == 0 {
		return errors.New("a loop needs n")
	}
	wait := pace(rate)
	fed := 0
	for {
		before := fed
		if err := n.loadOnce(l, count, wait, &fed); err != nil {
			return fmt.Errorf("%s, after %d flows: %w", l.File, fed, err)
		}
		if fed == before {
			return fmt.Errorf("%s: no flow in it", l.File)
		}
		if !l.Loop || fed == count {
			return nil
		}
	}
}

// loadOnce reads the file once, or until *fed is count, where that is not 0.
func (n *node) loadOnce(l loader, count int, wait func(int), fed *int) error {
	file, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 1<<20)
	var buffer []byte
	for count == 0 || *fed < count {
		if buffer, err = readMessage(reader, buffer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var message observerpb.GetFlowsResponse
		if err := proto.Unmarshal(buffer, &message); err != nil {
			return err
		}
		flow := message.GetFlow()
		if flow == nil {
			continue
		}
		flow.NodeName = n.name
		if l.Renumber {
			flow.Uuid, flow.Time = "", nil // putFlow fills in what is absent.
		}
		wait(*fed)
		n.putFlow(flow, false)
		*fed++
	}
	return nil
}

// readMessage reads into buffer, which grows as it must. io.EOF: the file ends here, as it should.
func readMessage(reader io.Reader, buffer []byte) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(reader, length[:]); err != nil {
		return buffer, err
	}
	size := int(binary.BigEndian.Uint32(length[:]))
	if size > messageMax {
		return buffer, fmt.Errorf("a message of %d bytes", size)
	}
	if size > cap(buffer) {
		buffer = make([]byte, size)
	}
	if _, err := io.ReadFull(reader, buffer[:size]); err != nil {
		return buffer, io.ErrUnexpectedEOF
	}
	return buffer[:size], nil
}

"""outrigger.py: drives an Outrigger sidecar over its Unix socket. An example to authors of proxies.

    async with await Session.open("/run/outrigger.sock") as session:
        answer = await session.exchange(request("GET", "example.org", "/", [endpoint("192.0.2.1", 80)]))
        print(answer.reply.status, answer.body, pb.Outcome.Name(answer.end.outcome))

Needs protobuf and grpcio-tools from PyPI. Frames: the protocol reference. Messages: proto/outrigger.proto.
"""
import asyncio, collections, importlib, ipaddress, itertools, pathlib, struct, subprocess, sys, tempfile, types

with tempfile.TemporaryDirectory() as folder:  # the messages are compiled into it and imported from it
    proto = pathlib.Path(__file__).resolve().parents[2] / "proto" / "outrigger.proto"
    options = [f"-I{proto.parent}", f"--python_out={folder}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, proto], check=True)
    sys.path.insert(0, folder)
    pb = importlib.import_module("outrigger_pb2")
    sys.path.remove(folder)

HEADER, END_STREAM = struct.Struct(">IIBBH"), 0x01  # payload length, stream, type, flags, zero
HELLO, REQUEST, BODY, TRAILERS, CANCEL, CREDIT, UNPIN, PING, PONG = range(0x01, 0x0A)
INTERIM, REPLY, END, PIN, GOAWAY = range(0x10, 0x15)
MESSAGES = {HELLO: pb.Hello, BODY: pb.BodyChunk, TRAILERS: pb.Trailers, CREDIT: pb.Credit, PING: pb.Ping,
            PONG: pb.Ping, PIN: pb.PinEvent, INTERIM: pb.ReplyHead, REPLY: pb.ReplyHead, END: pb.End, GOAWAY: pb.GoAway}
Frame = collections.namedtuple("Frame", "type flags message")

def endpoint(host, port=0):
    """An address that is already resolved, or the path of a Unix socket."""
    if "/" in host: return pb.Endpoint(unix_path=host.encode())
    return pb.Endpoint(ip=ipaddress.ip_address(host).packed, port=port)

def request(method, authority, target, endpoints, headers=(), **more):
    """A REQUEST. `headers` are pairs of bytes, `more` any other fields of the message."""
    line = {"method": method.encode(), "authority": authority.encode(), "target": target.encode()}
    fields = [pb.Field(name=name, value=value) for name, value in headers]
    return pb.Request(**{**line, "endpoints": endpoints, "fields": fields, **more})

class SessionClosed(ConnectionError):
    """The session ended while a stream was open; the argument is the GOAWAY that said why, if one came."""

class Stream:
    """One exchange. BODY data is credited as it is taken, unless `credits_itself` is turned off."""
    def __init__(self, session, id):
        self.session, self.id, self.is_open, self.credits_itself = session, id, True, True
        self.send_credit = session.hello.initial_credit_bytes or 262_144
        self.frames, self.changed = asyncio.Queue(), asyncio.Event()
    def close(self): self.is_open = False; self.changed.set()
    def cancel(self): self.session.send(CANCEL, self.id, pb.Cancel())
    def credit(self, count): self.session.send(CREDIT, self.id, pb.Credit(bytes=count))

    async def receive(self):
        frame = await self.frames.get()
        if frame is None: raise SessionClosed(self.session.goaway)
        if frame.type == BODY and self.credits_itself and frame.message.data:
            self.credit(len(frame.message.data))
        return frame

    async def answer(self):
        """Everything up to END. `reply` is None when there was none; `end.outcome` has the last word."""
        answer = types.SimpleNamespace(reply=None, end=None, body=bytearray(), interims=[], trailers=[])
        while answer.end is None:
            type, _, message = await self.receive()
            if type == INTERIM: answer.interims.append(message)
            elif type == REPLY: answer.reply = message
            elif type == BODY: answer.body += message.data
            elif type == TRAILERS: answer.trailers = list(message.fields)
            elif type == END: answer.end = message
        return answer

    def finish(self, trailers=None):
        """The request ends here: with TRAILERS, or with an empty BODY. Also behind END: the sidecar then forgets the id."""
        if trailers is None: return self.session.send(BODY, self.id, pb.BodyChunk(), END_STREAM)
        fields = [pb.Field(name=name, value=value) for name, value in trailers]
        self.session.send(TRAILERS, self.id, pb.Trailers(fields=fields), END_STREAM)

    async def send(self, data):
        """Sends body bytes as credit comes, until they are sent or the stream has ended."""
        data, largest = memoryview(data), (self.session.hello.frame_payload_bytes_max or 65_536) - 6
        while data and self.is_open:
            count = min(len(data), self.send_credit, largest)
            if not count: self.changed.clear(); await self.changed.wait(); continue
            self.session.send(BODY, self.id, pb.BodyChunk(data=bytes(data[:count])))
            self.send_credit, data = self.send_credit - count, data[count:]
            await self.session.writer.drain()

class Session:
    """One connection to the sidecar; any number of streams side by side."""
    def __init__(self, reader, writer):
        self.reader, self.writer, self.streams, self.ids = reader, writer, {}, itertools.count(1)
        self.hello, self.goaway, self.pongs, self.pins = None, None, asyncio.Queue(), asyncio.Queue()
        self.greeted, self.leaving, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @classmethod
    async def open(cls, path, **hello):
        """Connects and says HELLO, whose fields are the keywords. Returns on the answer or a hang-up."""
        session = cls(*await asyncio.open_unix_connection(path, limit=1 << 20))
        session.task = asyncio.create_task(session.dispatch())
        session.send(HELLO, 0, pb.Hello(**{"version": 1, **hello}))
        await session.greeted.wait()
        return session

    async def __aenter__(self): return self
    async def __aexit__(self, *_): self.writer.close(); await self.task
    def send(self, type, stream, message, flags=0):
        payload = message.SerializeToString()
        self.writer.write(HEADER.pack(len(payload), stream, type, flags, 0) + payload)

    def start(self, request):
        """Opens a stream. The request ends with its head unless it has a body or may become a tunnel."""
        stream = Stream(self, next(self.ids))
        self.streams[stream.id] = stream
        goes_on = request.body or request.upgrade or request.method == b"CONNECT"
        self.send(REQUEST, stream.id, request, 0 if goes_on else END_STREAM)
        return stream

    async def exchange(self, request, body=b"", trailers=None):
        """One whole exchange: body and reply go both ways at the same time."""
        async def upload():
            if request.body: await stream.send(body); stream.finish(trailers)  # also when END came first
        stream = self.start(request)
        return (await asyncio.gather(stream.answer(), upload()))[0]

    async def dispatch(self):
        try:
            while True:
                length, id, type, flags, _ = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                payload = await self.reader.readexactly(length)
                if type in MESSAGES: self.take(id, Frame(type, flags, MESSAGES[type].FromString(payload)))
        except (asyncio.IncompleteReadError, ConnectionError): pass
        finally:
            for event in self.closed, self.greeted, self.leaving: event.set()
            for stream in self.streams.values(): stream.frames.put_nowait(None); stream.close()
            self.writer.close()

    def take(self, id, frame):
        stream = self.streams[id] if id else None  # KeyError: a frame behind END, which a sidecar never sends
        if frame.type == HELLO: self.hello = frame.message; self.greeted.set()
        elif frame.type == GOAWAY: self.goaway = frame.message; self.leaving.set()
        elif frame.type == PING: self.send(PONG, 0, frame.message)
        elif frame.type == PONG: self.pongs.put_nowait(frame.message)
        elif frame.type == PIN: self.pins.put_nowait(frame.message)
        elif frame.type == CREDIT: stream.send_credit += frame.message.bytes; stream.changed.set()
        elif stream: stream.frames.put_nowait(frame)
        if frame.type == END: self.streams.pop(id).close()

def exchange(path, request, body=b""):
    """Blocks for one exchange on a session of its own."""
    async def run():
        async with await Session.open(path) as session: return await session.exchange(request, body)
    return asyncio.run(run())

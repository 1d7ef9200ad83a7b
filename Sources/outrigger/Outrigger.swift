@main struct Outrigger { static func main() {} }

"""The centre: one page over many gateways, made of what they publish over MQTT.

Nothing here is needed for a door or a call to work. It may be away for days and catches up; what a
gateway allows it to ask for is decided on the gateway.
"""

"""distkeras"""
